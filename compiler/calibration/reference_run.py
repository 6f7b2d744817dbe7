"""Run a model in ONNX Runtime and look at tensors inside it.

The quantized model runs as written: Q and DQ are computed as separate float operators. The
integer kernels of ONNX Runtime saturate 16-bit sums on CPUs without VNNI.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.errors import ModelError
from octavo.passes.message_passing.open_counts import open_counts
from octavo.passes.wiring import static_shape

# Outputs of one run are alive together; a network with more is run once for each group.
MAX_EXPOSED_BYTES = 384 * 2**20

MIN_SHARED_BYTES = 4096  # smaller weights are copied; ONNX Runtime folds shapes of some

Arrays = dict[str, NDArray[Any]]


class ReferenceRun:
    """A model with chosen tensors as its outputs.

    Attributes:
        input_names: What ``run`` wants.
    """

    def __init__(
        self,
        model: ir.Model,
        tensors: Sequence[ir.Value],
        num_threads: int = 1,
        *,
        as_written: bool = False,
    ) -> None:
        """Prepare a model.

        Args:
            model: With static shapes, of dimensions that are counted at run time with the
                largest ones: it then runs on as many rows as it is given. Not changed.
            tensors: Values of its graph, computed or inputs, to return.
            num_threads: One thread adds in one order, so ranges are reproducible.
            as_written: Operators are not fused, so that a tensor is the same to the last bit
                whatever others are returned; takes longer.
        """
        opened = open_counts(model)
        self.input_names = [value.name or "" for value in opened.graph.inputs]
        inputs = set(model.graph.inputs)
        self._given = [value.name or "" for value in tensors if value in inputs]
        computed = [value for value in dict.fromkeys(tensors) if value not in inputs]
        proto, self._weights = _without_weights(opened)
        run_as = _values_by_name(opened.graph)
        self._sessions = [
            (
                _session(
                    proto,
                    self._weights,
                    [run_as[value.name or ""] for value in group],
                    num_threads,
                    as_written,
                ),
                [value.name or "" for value in group],
            )
            for group in _groups(computed)
        ]

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        """Run one sample.

        Args:
            feeds: One array for each model input.

        Returns:
            The chosen tensors by name.

        Raises:
            ModelError: onnxruntime refuses a node's operands.
        """
        results: Arrays = {name: feeds[name] for name in self._given}
        wanted = {name: feeds[name] for name in self.input_names}
        for session, names in self._sessions:
            try:
                arrays = session.run(names, wanted)
            except Exception as error:  # onnxruntime raises its own, undocumented classes
                raise _cannot_run(error) from error
            results.update(zip(names, arrays, strict=True))
        return results


def _values_by_name(graph: ir.Graph) -> dict[str, ir.Value]:
    return {value.name or "": value for node in graph for value in node.outputs}


def _groups(values: Sequence[ir.Value]) -> list[list[ir.Value]]:
    groups: list[list[ir.Value]] = []
    size = 0
    for value in values:
        num_bytes = 4 * int(np.prod(static_shape(value) or (1,), dtype=np.int64))
        if not groups or size + num_bytes > MAX_EXPOSED_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(value)
        size += num_bytes
    return groups


def _without_weights(model: ir.Model) -> tuple[onnx.ModelProto, Arrays]:
    """The model as a message that only names its larger weights, and those weights.

    Serialized weights would be in memory thrice: in the message, as bytes, in the session.
    """
    stripped = model.clone()
    weights: Arrays = {}
    for name, value in stripped.graph.initializers.items():
        tensor = value.const_value
        if tensor is None or tensor.nbytes < MIN_SHARED_BYTES:
            continue
        array = np.ascontiguousarray(tensor.numpy())
        if array.dtype.kind not in "fiu":
            continue
        weights[name] = array
        value.const_value = ir.ExternalTensor(
            "weights", 0, array.nbytes, tensor.dtype, shape=ir.Shape(array.shape), name=name
        )
    return ir.to_proto(stripped), weights


def _session(
    proto: onnx.ModelProto,
    weights: Arrays,
    tensors: Sequence[ir.Value],
    num_threads: int,
    as_written: bool,
) -> Any:
    # Imported here: the commands that never run a model start faster without it.
    import onnxruntime as ort

    del proto.graph.output[:]
    for value in tensors:
        proto.graph.output.append(ir.serde.serialize_value(value))
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = num_threads
    options.log_severity_level = 4
    options.enable_mem_pattern = False  # outputs leave the arena, a pattern saves nothing
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    if as_written:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if weights:
        # The session reads the arrays where they are; ReferenceRun keeps them alive.
        options.add_external_initializers(
            list(weights),
            [ort.OrtValue.ortvalue_from_numpy(array) for array in weights.values()],
        )
    try:
        return ort.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime raises its own, undocumented classes
        raise _cannot_run(error) from error


def _cannot_run(error: Exception) -> ModelError:
    first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ModelError(f"onnxruntime cannot run the model: {first_line}")
