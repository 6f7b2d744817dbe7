"""An ONNX file in ONNX Runtime."""

from pathlib import Path
from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray

from octavo.compiler.bench.program import Inputs, Run

DEVICE = "cpu"
VERSION: str = ort.__version__
SILENT = 3  # errors only: warnings about settings would interleave with tables


class OnnxRuntimeProgram:
    """A loaded model.

    Attributes:
        output_names: In the order of the model.
    """

    def __init__(self, path: Path, num_threads: int = 1, *, optimize: bool = True) -> None:
        """Load a model.

        Args:
            path: ONNX file, float or QDQ.
            num_threads: Threads inside an operator, at least 1.
            optimize: Every graph optimization on, for speed; or none, for the arithmetic that
                the model writes down (a QDQ model then computes in float between its nodes).
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.inter_op_num_threads = 1
        levels = ort.GraphOptimizationLevel
        options.graph_optimization_level = (
            levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
        )
        options.log_severity_level = SILENT
        self._session = ort.InferenceSession(path, options, ["CPUExecutionProvider"])
        self._input_names = frozenset(port.name for port in self._session.get_inputs())
        self.output_names = tuple(port.name for port in self._session.get_outputs())

    def run(self, inputs: Inputs) -> dict[str, NDArray[Any]]:
        """Run one inference.

        Args:
            inputs: Input name to array; names that the model has not are ignored.

        Returns:
            Output name to array.
        """
        outputs = self._session.run(None, self._known(inputs))
        return dict(zip(self.output_names, outputs, strict=True))

    def bind(self, inputs: Inputs) -> Run:
        """Return a function that runs one inference on these inputs, for timing."""
        binding = self._session.io_binding()
        for name, array in self._known(inputs).items():
            binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))
        for name in self.output_names:
            binding.bind_output(name, DEVICE)

        def run() -> list[Any]:
            self._session.run_with_iobinding(binding)
            outputs: list[Any] = binding.get_outputs()
            return outputs

        return run

    def _known(self, inputs: Inputs) -> dict[str, NDArray[Any]]:
        return {name: array for name, array in inputs.items() if name in self._input_names}
