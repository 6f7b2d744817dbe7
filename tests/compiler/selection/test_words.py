"""Layers with activations of 16 bits are chosen for where integers compute them."""

import onnx_ir as ir
import pytest
from tests.compiler.lowering.test_words import chain, model_of

from octavo.compiler.importer import import_model
from octavo.compiler.lowering.lower import lower
from octavo.compiler.lowering.words import why_no_words
from octavo.compiler.selection.layers import find_layers
from octavo.passes.join_float_layers import JoinFloatLayers
from octavo.targets import get_target


@pytest.fixture
def model(tmp_path) -> ir.Model:
    path = tmp_path / "m.onnx"
    path.write_bytes(model_of(chain).SerializeToString())
    return import_model(path)


def test_layers_of_words_can_be_chosen_for(model):
    target = get_target("x86-64-avx2")
    assert why_no_words(target, "float32") == ""
    graph = find_layers(model, why_no_words(target, "float32"))
    assert [layer.op_types[0] for layer in graph.layers] == ["Conv", "Conv"]
    assert [tensor.readers for tensor in graph.tensors][:2] == [
        (graph.layers[0].name,),
        (graph.layers[1].name,),
    ]
    assert find_layers(model).layers == ()


def test_one_layer_in_float_leaves_the_other_its_integers(model):
    target = get_target("x86-64-avx2")
    first, second = find_layers(model, "").layers
    JoinFloatLayers(second.nodes)(model)
    program = lower(model, target, float_nodes=first.nodes)
    kinds = {step.name: step.placement for step in program.steps if "Conv" in step.op_types}
    assert set(kinds.values()) == {"float32", "int8"}
    assert kinds[second.name] == "int8"
