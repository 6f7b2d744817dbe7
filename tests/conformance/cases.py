"""The ONNX backend node tests that a static compiler for numeric tensors can take.

In scope: inputs and outputs are dense numeric tensors. Out of scope: sequences, optionals,
maps, strings, control flow, training, and results that are random.
"""

import contextlib
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

TRAINING_DOMAIN = "ai.onnx.preview.training"
OLDEST_OPSET, NEWEST_OPSET = 11, 25  # that the importer takes
CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})
RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
     "RandomUniformLike"}
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Case:
    """One test: a model, inputs, expected outputs.

    Attributes:
        name: ONNX's name for it.
        model: Shape-determining inputs are already bound as constants, see ``bound``.
        bound: Inputs that were bound: they decide a shape, which has to be static.
        inputs: By name.
        outputs: By name.
        rtol: Relative tolerance of the test.
        atol: Absolute tolerance of the test.
    """

    name: str
    model: onnx.ModelProto
    bound: tuple[str, ...]
    inputs: dict[str, NDArray[Any]]
    outputs: dict[str, NDArray[Any]]
    rtol: float
    atol: float


@cache
def all_tests() -> dict[str, Any]:
    """Every node test by name, in a fixed order."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings(), contextlib.suppress(RuntimeWarning):
        warnings.simplefilter("ignore")
        return {test.name: test for test in load_model_tests(kind="node")}


def out_of_scope(test: Any) -> str:
    """Why a test is not one for us; "" when it is."""
    model = test.model
    values = [*model.graph.input, *model.graph.output]
    kinds = {value.type.WhichOneof("value") for value in values}
    if kinds - {"tensor_type"}:
        return "sequence, optional, map or sparse values"
    if any(value.type.tensor_type.elem_type == TensorProto.STRING for value in values):
        return "strings"
    nodes = [*model.graph.node, *(node for f in model.functions for node in f.node)]
    if any(node.domain == TRAINING_DOMAIN for node in nodes):
        return "training"
    if any(node.op_type in CONTROL_FLOW for node in nodes):
        return "control flow"
    if any(node.op_type in RANDOM for node in nodes):
        return "random results"
    if any(node.op_type.startswith(("Sequence", "Optional", "String")) for node in nodes):
        return "sequence, optional, map or sparse values"
    if "training_mode" in test.name or "_train_" in test.name or "training" in test.name:
        return "training"
    if "_expanded" in test.name and _has_subgraph(nodes):
        return "control flow"
    return ""


def _has_subgraph(nodes: list[Any]) -> bool:
    return any(
        attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
        for node in nodes
        for attribute in node.attribute
    )


# Operator and position of inputs whose values decide a result's shape or the code itself.
SHAPE_INPUTS: dict[str, tuple[int, ...]] = {
    "AffineGrid": (1,), "BlackmanWindow": (0,), "CenterCropPad": (1,), "Col2Im": (1, 2),
    "ConstantOfShape": (0,), "DFT": (1, 2), "Expand": (1,), "HammingWindow": (0,),
    "HannWindow": (0,), "MaxUnpool": (2,), "MelWeightMatrix": (0, 1, 2, 3, 4),
    "OneHot": (1,), "Pad": (1, 3), "Range": (0, 1, 2), "Reshape": (1,),
    "Resize": (1, 2, 3), "STFT": (1, 3), "Slice": (1, 2, 3, 4), "Split": (1,),
    "Squeeze": (1,), "Tile": (1,), "TopK": (1,), "Trilu": (1,), "Unsqueeze": (1,),
    "Upsample": (1,), "CumSum": (1,), "CumProd": (1,), "Dropout": (1, 2),
    "NonMaxSuppression": (2, 3, 4),
    **dict.fromkeys(
        ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
         "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"), (1,)),
}  # fmt: skip


def load_case(name: str) -> Case:
    """Read a test, and bind the inputs that decide shapes.

    Raises:
        KeyError: No such test.
    """
    test = all_tests()[name]
    model = onnx.ModelProto()
    model.CopyFrom(test.model)
    inputs, outputs = test.data_sets[0]
    arrays = {
        value.name: _array(data)
        for value, data in zip(model.graph.input, inputs, strict=False)
    }
    expected = {
        value.name: _array(data)
        for value, data in zip(model.graph.output, outputs, strict=True)
    }
    # Expanded tests are the function body of an operator: the same inputs decide its shapes.
    original = all_tests().get(name.split("_expanded", maxsplit=1)[0], test).model
    bound = tuple(
        name
        for node in original.graph.node
        for position in SHAPE_INPUTS.get(node.op_type, ())
        if position < len(node.input) and (name := node.input[position]) in arrays
    )
    for name_ in dict.fromkeys(bound):
        model.graph.initializer.append(numpy_helper.from_array(arrays.pop(name_), name_))
    for value in [v for v in model.graph.input if v.name in bound]:
        model.graph.input.remove(value)
    _restamp(model)
    fixed = tuple(dict.fromkeys(bound))
    return Case(name, model, fixed, arrays, expected, test.rtol, test.atol)


def _restamp(model: onnx.ModelProto) -> None:
    """Declare the nearest supported opset, where it has every operator with these types.

    Tests carry the version in which their operator last changed: Abs of opset 6 is Abs of 11,
    and Cast of opset 28 is Cast of 25 with more element types. A wrong guess can only fail,
    since results are compared with the test's.
    """
    opset = next((o for o in model.opset_import if o.domain in ("", "ai.onnx")), None)
    if opset is None or OLDEST_OPSET <= opset.version <= NEWEST_OPSET:
        return
    declared = opset.version
    opset.version = min(max(declared, OLDEST_OPSET), NEWEST_OPSET)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        opset.version = declared


def _array(data: Any) -> NDArray[Any]:
    if isinstance(data, onnx.TensorProto):
        return numpy_helper.to_array(data)
    return np.asarray(data)
