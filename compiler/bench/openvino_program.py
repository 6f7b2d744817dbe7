"""An ONNX file, or one of OpenVINO's own, in OpenVINO."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from octavo.compiler.bench.program import Inputs, Run

VERSION: str = ov.__version__.partition("-")[0]  # without the build's number


class OpenVinoProgram:
    """A compiled model with one inference request."""

    def __init__(self, path: Path, num_threads: int = 1, precision: str = "f32") -> None:
        """Compile a model for the CPU, for latency.

        Args:
            path: ONNX file, float or QDQ, or OpenVINO's own .xml.
            num_threads: Threads, at least 1.
            precision: What float layers may compute in, ``f32`` or ``bf16``. Left to itself
                OpenVINO takes bf16 where the processor has it.
        """
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": num_threads,
            "INFERENCE_PRECISION_HINT": precision,
        }
        self._compiled = ov.Core().compile_model(path, "CPU", settings)
        self._request = self._compiled.create_infer_request()
        self._input_names = {n for port in self._compiled.inputs for n in port.names}
        self._output_names = [output.any_name for output in self._compiled.outputs]

    def run(self, inputs: Inputs) -> dict[str, NDArray[Any]]:
        """Run one inference; input and output names to arrays."""
        self._request.infer(self._known(inputs))
        read = self._request.get_tensor
        return {name: read(name).data.copy() for name in self._output_names}

    def bind(self, inputs: Inputs) -> Run:
        """Return a function that runs one inference on these arrays, which are not copied."""
        request = self._compiled.create_infer_request()
        for name, array in self._known(inputs).items():
            # One that is shared must own its memory in order.
            shared = ov.Tensor(np.ascontiguousarray(array), shared_memory=True)
            request.set_tensor(name, shared)
        return partial(request.infer, share_outputs=True)

    def _known(self, inputs: Inputs) -> dict[str, NDArray[Any]]:
        return {name: array for name, array in inputs.items() if name in self._input_names}
