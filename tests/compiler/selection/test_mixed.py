"""Programs in which any layers are computed in float give what onnxruntime gives."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx_ir.passes.common import RemoveUnusedNodesPass
from tests.compiler.local_reference import (
    expose_quantized,
    local_differences,
    worst_difference,
)
from tests.compiler.lowering.qdq_builder import random_feeds, run_reference
from tests.compiler.random_models.models import models

from octavo.compiler.artifact.write import write_artifact
from octavo.compiler.importer import import_model
from octavo.compiler.lowering.lower import lower
from octavo.compiler.quantize import quantize_model
from octavo.compiler.selection.layers import find_layers
from octavo.compiler.session import load
from octavo.passes.join_float_layers import JoinFloatLayers
from octavo.passes.restore_float_weights import RestoreFloatWeights
from octavo.targets import get_target

STEPS = 1.0  # a tie may be broken by the rounding noise of float32 sums
RELATIVE = 1e-4  # float32 sums of a few hundred products, in another order


def joined(model, in_float):
    copy = model.clone()
    layers = find_layers(model).layers
    in_integers = {n for layer in layers if layer.name not in in_float for n in layer.nodes}
    JoinFloatLayers(in_integers)(copy)
    RemoveUnusedNodesPass()(copy)
    return copy, {n for layer in layers if layer.name in in_float for n in layer.nodes}


def check(model, in_float, feeds, folder):
    mixed, float_nodes = joined(model, in_float)
    exposed = expose_quantized(ir.to_proto(mixed))
    target = get_target("host")
    program = lower(ir.from_proto(exposed), target, float_nodes=float_nodes)
    write_artifact(program, target, None, folder / "out", force=True)
    with load(folder / "out") as session:
        ours = session.run(feeds)
    for name, (mine, reference) in local_differences(exposed, feeds, ours).items():
        limit = STEPS if mine.dtype.kind in "iu" else 1.0
        assert worst_difference(mine, reference, RELATIVE) <= limit, name
    return program


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(model=models(), pattern=st.integers(0, 2**16 - 1))
def test_random_networks_with_random_layers_in_float(model, pattern, tmp_path):
    onnx.save(model, tmp_path / "m.onnx")
    samples = [random_feeds(model, seed) for seed in range(3)]
    qdq = quantize_model(import_model(tmp_path / "m.onnx"), samples, measure=False).model
    layers = find_layers(qdq).layers
    in_float = {layer.name for i, layer in enumerate(layers) if pattern >> (i % 16) & 1}
    check(qdq, in_float, random_feeds(model, 0), tmp_path)


@pytest.fixture(scope="module")
def residual(tmp_path_factory):
    """conv -> conv -> add with the first -> pool -> fc."""
    rng = np.random.default_rng(0)
    text = """<ir_version: 10, opset_import: ["": 21]>
    g (float[1,8,6,6] x) => (float[1,5] y) {
        [c0] a = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w0) [r0] b = Relu(a)
        [c1] c = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(b, w1)
        [add] d = Add(c, b) [r1] e = Relu(d)
        [pool] f = GlobalAveragePool(e) [flat] h = Flatten(f) [fc] y = Gemm(h, w2)
    }"""
    proto = onnx.parser.parse_model(text)
    for name, shape in (("w0", (8, 8, 3, 3)), ("w1", (8, 8, 3, 3)), ("w2", (8, 5))):
        weight = rng.normal(0, 0.2, shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, name))
    path = tmp_path_factory.mktemp("residual") / "m.onnx"
    onnx.save(proto, path)
    samples = [{"x": rng.normal(size=(1, 8, 6, 6)).astype(np.float32)} for _ in range(4)]
    result = quantize_model(import_model(path), samples, measure=False)
    return result.model, samples[0], result.prepared, proto


def test_layers_and_tensors_of_a_residual_block(residual):
    graph = find_layers(residual[0])
    assert [layer.name for layer in graph.layers] == ["c0", "c1", "pool", "fc"]
    assert graph.layers[1].nodes == ("c1", "add", "r1")
    wired = [(t.writer, t.readers, t.has_float_reader) for t in graph.tensors]
    assert wired == [
        (None, ("c0",), False),
        ("c0", ("c1",), False),
        ("c1", ("pool",), False),
        ("pool", ("fc",), False),
        ("fc", (), True),
    ]
    assert graph.layer_of["add"] == "c1"


@pytest.mark.parametrize("number", range(16))
def test_every_choice_of_layers(residual, number, tmp_path):
    model, feeds, *_ = residual
    names = [layer.name for layer in find_layers(model).layers]
    in_float = {name for i, name in enumerate(names) if number >> i & 1}
    program = check(model, in_float, feeds, tmp_path)
    placements = {s.nodes[0]: s.placement for s in program.steps if s.nodes[0] in names}
    assert {name for name, p in placements.items() if p == "float32"} == in_float


def test_all_layers_in_float_with_their_own_weights_are_the_float_network(residual):
    model, feeds, prepared, proto = residual
    names = {layer.name for layer in find_layers(model).layers}
    in_float, nodes = joined(model, names)
    rounded = run_reference(ir.to_proto(in_float), feeds)
    RestoreFloatWeights(prepared, nodes)(in_float)
    RemoveUnusedNodesPass()(in_float)
    restored = run_reference(ir.to_proto(in_float), feeds)
    exact = run_reference(proto, feeds)
    # float32 sums of 72 products, in another order at most.
    np.testing.assert_allclose(restored["y"], exact["y"], rtol=1e-5, atol=1e-6)
    assert np.abs(rounded["y"] - exact["y"]).max() > 1e-4
