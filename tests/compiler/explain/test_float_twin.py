"""Programs that an artifact is compared with: what is in float in them."""

import json

import numpy as np
import onnx
import pytest
from onnx import parser

import octavo
from octavo.compiler.explain.edges import edges_of
from octavo.compiler.explain.float_twin import (
    NUM_MIXED,
    artifact_target,
    float_network,
    mixed_programs,
    read_model,
)
from octavo.compiler.explain.program_steps import manifest_steps, program_steps
from octavo.errors import TargetError

VIEWS = {"flat"}  # in whatever arithmetic their neighbours are
DEPTH = 6  # more layers than programs


def chain():
    """Convolutions, a sum of the last and the first of them, and a product."""
    lines = "\n".join(
        f"c{i} = Conv <pads = [1,1,1,1]> ({f'r{i - 1}' if i else 'image'}, w)\n"
        f"r{i} = Relu (c{i})"
        for i in range(DEPTH))
    model = parser.parse_model(f"""
        <ir_version: 8, opset_import: ["" : 17]>
        chain (float[1,4,8,8] image) => (float[1,3] scores)
        <float[4,4,3,3] w, float[256,3] v, float[3] b>
        {{
            {lines}
            y = Add (r{DEPTH - 1}, r0)
            flat = Flatten (y)
            scores = Gemm (flat, v, b)
        }}""")
    rng = np.random.default_rng(0)
    del model.graph.initializer[:]
    for name, shape in (("w", (4, 4, 3, 3)), ("v", (256, 3)), ("b", (3,))):
        array = rng.normal(size=shape).astype(np.float32) / 6
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    for node in model.graph.node:
        node.name = node.output[0]
    return model


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    onnx.save(chain(), folder / "chain.onnx")
    images = np.random.default_rng(1).normal(size=(4, 4, 8, 8)).astype(np.float32)
    octavo.compile(folder / "chain.onnx", "host", folder / "out", samples={"image": images})
    return folder / "out"


@pytest.fixture(scope="module")
def manifest(artifact):
    return json.loads((artifact / "manifest.json").read_text())


def layers(steps, placement):
    return {
        node for s in steps if s.placement == placement and not s.is_conversion
        for node in s.nodes}


def test_every_layer_is_in_float_in_one_program(artifact, manifest):
    steps = manifest_steps(manifest)
    wanted = {
        s.index for s in steps if s.placement == "int8" and s.nodes and not s.is_conversion}
    mixed = mixed_programs(artifact, artifact_target(manifest), "float32", steps)
    assert len(mixed) == NUM_MIXED
    chosen = [index for m in mixed for index in m.steps]
    assert sorted(chosen) == sorted(wanted)
    for m in mixed:
        names = {node for index in m.steps for node in steps[index].nodes}
        names |= VIEWS
        assert layers(program_steps(m.program), "float32") | VIEWS == names
        assert layers(program_steps(m.program), "int8") - names == (
            layers(steps, "int8") - names)


def test_each_has_the_conversions_that_it_needs_alone(artifact, manifest):
    steps = manifest_steps(manifest)
    graph = read_model(artifact).graph
    for m in mixed_programs(artifact, artifact_target(manifest), "float32", steps):
        conversions = {
            node for s in program_steps(m.program) if s.is_conversion for node in s.nodes}
        for index in m.steps:
            # Beside a view, one of several conversions of the same numbers is a step.
            if not {"y", "flat", "scores"}.isdisjoint(steps[index].nodes):
                continue
            edges = edges_of(graph, steps[index].nodes, ())
            assert set(edges.needed) <= conversions


def test_the_float_network_has_no_integers(artifact, manifest):
    program = float_network(artifact, artifact_target(manifest), "float32")
    assert layers(program_steps(program), "int8") == set()
    nodes = {node for s in program_steps(program) for node in s.nodes}
    assert nodes >= {"c0", "c5", "y", "scores"}


def test_a_target_that_means_something_else_now(manifest):
    details = manifest["target_details"] | {"cpu": "another"}
    with pytest.raises(TargetError, match="compile again"):
        artifact_target(manifest | {"target_details": details})
