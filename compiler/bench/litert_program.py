"""A .tflite file in LiteRT."""

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from octavo.compiler.bench.program import Inputs, Run

VERSION = importlib.metadata.version("ai-edge-litert")


class LiteRtProgram:
    """A loaded .tflite file; XNNPACK takes what it can.

    Attributes:
        interpreter: LiteRT's own object.
        inputs: Numbers of tensors, by name.
        outputs: The same, in the order of the file.
    """

    def __init__(
        self,
        path: Path,
        num_threads: int = 1,
        *,
        input_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        optimize: bool = True,
    ) -> None:
        """Load a file.

        Args:
            path: .tflite file.
            num_threads: Threads of XNNPACK, at least 1.
            input_names: What the inputs are called, in the order of the file; None: as the
                file calls their tensors.
            output_names: The same of the outputs.
            optimize: XNNPACK and optimized kernels; or the reference kernels, whose
                arithmetic others are compared with.
        """
        kinds = OpResolverType
        kernels = kinds.AUTO if optimize else kinds.BUILTIN_REF
        self.interpreter = Interpreter(
            str(path), num_threads=num_threads, experimental_op_resolver_type=kernels
        )
        self.interpreter.allocate_tensors()
        self.inputs = _indices(self.interpreter.get_input_details(), input_names)
        self.outputs = _indices(self.interpreter.get_output_details(), output_names)

    def run(self, inputs: Inputs) -> dict[str, NDArray[Any]]:
        """Run one inference; input and output names to arrays, in the layout of the file."""
        self.bind(inputs)()
        read = self.interpreter.get_tensor
        return {name: read(index) for name, index in self.outputs.items()}

    def bind(self, inputs: Inputs) -> Run:
        """Return a function that runs one inference on these inputs."""
        fed = [(self.inputs[name], array) for name, array in inputs.items()]
        interpreter = self.interpreter

        def run() -> None:
            interpreter.reset_all_variables()  # an LSTM starts from zero, as in ONNX
            for index, array in fed:
                interpreter.set_tensor(index, array)
            interpreter.invoke()  # and leaves the outputs in its own memory, to be read there

        return run


def _indices(
    details: Sequence[Mapping[str, Any]], names: Sequence[str] | None
) -> dict[str, int]:
    """Numbers of tensors by the names that they go by."""
    known = [str(detail["name"]) for detail in details] if names is None else names
    indices = [int(detail["index"]) for detail in details]
    return dict(zip(known, indices, strict=True))
