"""Compiled for the largest graph, run on any: exact, whatever lies behind the rows in use."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from examples.graphs.networks import (
    NUM_ATTRIBUTES,
    Sizes,
    node_classifier,
    node_classifier_reference,
    random_weights,
    weight_shapes,
)
from examples.graphs.whole_graph_networks import (
    graph_classifier,
    graph_classifier_reference,
    graph_classifier_shapes,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.graph_samples import graph_samples

import octavo
from octavo.compiler.cli import main
from octavo.compiler.compile import compile_model
from octavo.compiler.devices import DEVICES
from octavo.compiler.devices.inference import run_inference
from octavo.compiler.example_inputs import examples_note
from octavo.errors import ArtifactError, DataError, DeviceError, LoweringError, ModelError

MAX_NODES, MAX_EDGES, NUM_GRAPHS, NUM_FEATURES = 40, 150, 4, 6
MAXIMA = {"nodes": MAX_NODES, "edges": MAX_EDGES}
SIZES = Sizes(None, None, num_features=NUM_FEATURES, hidden=8)
NAMES = ("gcn", "sage_max", "gat", "gatv2", "sir_gcn", "edge_conditioned", "pool_mean",
         "pool_max")  # fmt: skip
UNCHANGED = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)


class Network:
    """A network, its numpy reference, and its artifact."""

    def __init__(self, name, folder, sizes=SIZES, maxima=MAXIMA, **options):
        rng = np.random.default_rng(5)
        pooled = name.startswith("pool_")
        shapes = graph_classifier_shapes(sizes) if pooled else weight_shapes(name, sizes)
        self.name, self.weights = name, random_weights(shapes, rng)
        model = (
            graph_classifier(self.weights, sizes, NUM_GRAPHS, name[5:])
            if pooled
            else node_classifier(name, self.weights, sizes)
        )
        self.inputs = [value.name for value in model.graph.input]
        onnx.save(model, folder / "net.onnx")
        self.directory = folder / "out"
        self.result = compile_model(
            folder / "net.onnx", "host", self.directory, maxima=maxima, **options)

    def sample(self, num_nodes, num_edges, seed=0):
        arrays = graph_samples(num_nodes, num_edges, 1, NUM_FEATURES, seed)
        rng = np.random.default_rng(seed)
        arrays["edge_attr"] = rng.random((1, num_edges, NUM_ATTRIBUTES), np.float32)
        return {name: arrays[name][0] for name in self.inputs}

    def reference(self, inputs):
        if self.name.startswith("pool_"):
            kind = self.name[5:]
            return graph_classifier_reference(self.weights, inputs, NUM_GRAPHS, kind)
        return node_classifier_reference(self.name, self.weights, inputs)


@pytest.fixture(scope="module", params=NAMES)
def network(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    made = Network(request.param, folder, float_only=True)
    with octavo.load(made.directory) as session:
        made.session = session
        yield made


def with_garbage(session, inputs, counts, seed):
    """Inputs of the largest sizes: behind the rows in use lie any numbers."""
    rng = np.random.default_rng(seed)
    full = {name: np.array([count]) for name, count in counts.items()}
    for info in session.inputs:
        if info.name in counts:
            continue
        array = rng.integers(-(2**62), 2**62, info.shape)
        if info.dtype == "float32":
            array = (rng.standard_normal(info.shape) * 1e37).astype(np.float32)
            array[rng.random(info.shape) < 0.2] = np.nan
        used = inputs[info.name]
        array[tuple(map(slice, used.shape))] = used
        full[info.name] = array
    return full


@settings(max_examples=12, deadline=None, suppress_health_check=UNCHANGED)
@given(st.integers(1, MAX_NODES), st.integers(1, MAX_EDGES), st.integers(0, 2**31))
def test_any_graph_equals_the_reference(network, num_nodes, num_edges, seed):
    inputs = network.sample(num_nodes, num_edges, seed)
    expected = network.reference(inputs)
    # Sums of a few nodes with many edges become large.
    tolerance = 1e-5 * max(1.0, float(np.abs(expected).max()))
    found = network.session.run(inputs)["logits"]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
    counts = {"nodes": num_nodes, "edges": num_edges}
    full = with_garbage(network.session, inputs, counts, seed)
    np.testing.assert_array_equal(network.session.run(full)["logits"], found)


def test_no_edges_at_all(network):
    one = network.sample(9, 1)
    none = {name: array[..., :0] if name.startswith("edge_index") else array
            for name, array in one.items()}  # fmt: skip
    none |= {name: one[name][:0] for name in ("edge_weight", "edge_attr") if name in one}
    apart = {**one, "edge_index": np.array([[8], [8]])}
    found, other = (network.session.run(inputs)["logits"] for inputs in (none, apart))
    assert np.isfinite(found).all()
    if not network.name.startswith("pool_"):
        np.testing.assert_array_equal(found[:8], other[:8])


def test_wrong_graphs_are_errors_of_one_run(network):
    inputs = network.sample(12, 30)
    expected = network.session.run(inputs)["logits"]
    for at, number in (((0, 29), 12), ((1, 0), -1), ((1, 7), MAX_NODES), ((0, 3), 2**40)):
        wrong = inputs["edge_index"].copy()
        wrong[at] = number
        with pytest.raises(ArtifactError, match="kernel reported a failure"):
            network.session.run({**inputs, "edge_index": wrong})
    with pytest.raises(DataError, match="'edge_index' has 151 rows of dimension 'edges'"):
        network.session.run(network.sample(12, 151))
    with pytest.raises(DataError, match="input 'edges' is -1; allowed: 0 to 30"):
        network.session.run({**inputs, "edges": np.array([-1])})
    shorter = {**inputs, "x": inputs["x"][:, :5]}
    with pytest.raises(DataError, match=r"'x' is float32 \(12, 5\)"):
        network.session.run(shorter)
    np.testing.assert_array_equal(network.session.run(inputs)["logits"], expected)


@pytest.mark.parametrize("name", ["gcn", "sage_mean", "pool_mean"])
def test_eight_bits_do_not_depend_on_the_largest_size(name, tmp_path):
    data = graph_samples(25, 70, 4, NUM_FEATURES)
    folders = [tmp_path / "exact", tmp_path / "counted"]
    for folder in folders:
        folder.mkdir()
    exact = Network(name, folders[0], Sizes(25, 70, NUM_FEATURES, 8), None, samples=data)
    counted = Network(name, folders[1], samples=data)
    inputs = counted.sample(25, 70, 3)
    results = []
    for made in (exact, counted):
        with octavo.load(made.directory) as session:
            results.append(session.run(inputs)["logits"])
    np.testing.assert_array_equal(*results)
    expected = counted.reference(inputs)
    noise = np.square(results[1] - expected).sum() / np.square(expected).sum()
    assert noise < 0.01
    assert len(np.unique(results[1])) > 4
    kernels = [step["variant"] for step in counted.result.manifest["steps"]]
    assert any(".given" in kernel for kernel in kernels)


def test_counted_edges_alone(tmp_path):
    sizes = Sizes(25, None, num_features=NUM_FEATURES, hidden=8)
    made = Network("gcn", tmp_path, sizes, {"edges": MAX_EDGES}, float_only=True)
    counts = made.result.manifest["metadata"]["counts"]
    assert counts == [{"dimension": "edges", "input": "edges", "maximum": MAX_EDGES,
                       "inputs": {"edge_index": 1, "edge_weight": 0}, "outputs": {}}]
    header = (made.directory / "model.h").read_text()
    assert "How many there are, 0 to 150, in:\n * edge_index, edge_weight." in header
    assert "Axis 1 has as many rows as edges says." in header
    assert "edges: at most 150; input 'edges' says how many there are" in made.result.notes
    inputs = made.sample(25, 77)
    with octavo.load(made.directory) as session:
        found = session.run(inputs)["logits"]
        # Nodes are not counted: their numbers may count from the last one, as in ONNX.
        from_the_end = {**inputs, "edge_index": inputs["edge_index"] - 25}
        np.testing.assert_array_equal(session.run(from_the_end)["logits"], found)
        bound = session.bind(with_garbage(session, inputs, {"edges": 77}, 1))
        bound.run()
        np.testing.assert_array_equal(bound.outputs["logits"], found)
    np.testing.assert_allclose(found, made.reference(inputs), rtol=0, atol=1e-4)


def test_what_is_measured_without_inputs_is_the_largest_graph(network):
    examples = network.session.examples()
    assert {name: examples[name].tolist() for name in MAXIMA} == {
        name: [most] for name, most in MAXIMA.items()}  # fmt: skip
    degrees = np.bincount(examples["edge_index"][1], minlength=MAX_NODES)
    assert degrees.sum() == MAX_EDGES
    assert (degrees[:MAX_NODES] > 0).sum() > MAX_NODES / 2
    assert "edges are random" in examples_note(network.session.manifest)
    assert network.session.profile(runs=1, warmup=0)
    fewer = network.session.profile(network.sample(5, 7), runs=1, warmup=0)
    assert len(fewer) == len(network.result.manifest["steps"])


def test_the_command_takes_graphs_of_any_size(tmp_path, capfd):
    made = Network("pool_max", tmp_path, float_only=True)
    inputs = made.sample(11, 20)
    np.savez(tmp_path / "graph.npz", **inputs)
    arguments = ["run", str(made.directory), "--input", str(tmp_path / "graph.npz")]
    capfd.readouterr()
    assert main([*arguments, "--json"]) == 0
    (logits,) = json.loads(capfd.readouterr().out)["outputs"]
    np.testing.assert_allclose(logits["values"], made.reference(inputs), rtol=0, atol=1e-4)
    np.savez(tmp_path / "graph.npz", **made.sample(MAX_NODES + 1, 20))
    assert main(arguments) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "'x' has 41 rows of dimension 'nodes'" in line
    assert "at most 40" in line


def test_indices_that_are_computed_cannot_be_checked(tmp_path):
    text = """<ir_version: 10, opset_import: ["" : 21]>
    g (float[N,4] x, float[E] at) => (float[E,4] y) { i = Cast<to=7>(at) y = Gather(x, i) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "net.onnx")
    with pytest.raises(LoweringError, match="by an index that is computed"):
        compile_model(tmp_path / "net.onnx", "host", tmp_path / "out", float_only=True,
                      maxima={"N": 9, "E": 20})  # fmt: skip


def test_what_no_kernel_stops_is_refused(tmp_path):
    exports = Path(__file__).parents[1] / "passes" / "message_passing" / "exports"
    with pytest.raises(LoweringError, match=r"no kernel for it that stops .* 'edges'"):
        compile_model(exports / "any_size" / "mul.onnx", "host", tmp_path / "out",
                      float_only=True, maxima=MAXIMA)  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_a_maximum_for_no_dimension(tmp_path):
    with pytest.raises(ModelError, match="no dimension is called 'Edges'"):
        Network("gcn", tmp_path, maxima={**MAXIMA, "Edges": 7}, float_only=True)


def test_a_quantized_file_is_open_for_any_size_and_compiles_again(tmp_path):
    data = graph_samples(25, 70, 4, NUM_FEATURES)
    made = Network("pool_mean", tmp_path, samples=data)
    np.savez(tmp_path / "samples.npz", **data)
    arguments = [str(tmp_path / "net.onnx"), "--max", f"nodes={MAX_NODES}",
                 "--max", f"edges={MAX_EDGES}", "--data", str(tmp_path / "samples.npz"),
                 "-o", str(tmp_path / "q.onnx")]  # fmt: skip
    assert main(["quantize", *arguments]) == 0
    again = compile_model(tmp_path / "q.onnx", "host", tmp_path / "again", maxima=MAXIMA)
    assert again.manifest["metadata"]["counts"] == made.result.manifest["metadata"]["counts"]
    stored = made.directory / "model.int8.onnx"
    with octavo.load(made.directory) as first, octavo.load(tmp_path / "again") as second:
        for num_nodes, num_edges in ((MAX_NODES, MAX_EDGES), (3, 1), (17, 90)):
            inputs = made.sample(num_nodes, num_edges, num_nodes)
            found = first.run(inputs)["logits"]
            np.testing.assert_array_equal(second.run(inputs)["logits"], found)
            for path in (tmp_path / "q.onnx", stored):
                options = onnxruntime.SessionOptions()
                options.log_severity_level = 3
                options.add_session_config_entry("session.disable_quant_qdq", "1")
                reference = onnxruntime.InferenceSession(path, options)
                assert [value.name for value in reference.get_inputs()] == made.inputs
                (expected,) = reference.run(None, inputs)
                # The last layer's output is float: sums of integers, rounded in float32.
                np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="no emulator")
def test_another_processor_computes_the_same_bits(tmp_path):
    data = graph_samples(25, 70, 4, NUM_FEATURES)
    (tmp_path / "host").mkdir()
    (tmp_path / "arm").mkdir()
    own = Network("pool_mean", tmp_path / "host", samples=data)
    path = own.directory / "model.int8.onnx"
    compile_model(path, "arm64-neon", tmp_path / "arm" / "out", maxima=MAXIMA)
    with octavo.load(own.directory) as session:
        for num_nodes, num_edges in ((11, 20), (MAX_NODES, MAX_EDGES)):
            inputs = own.sample(num_nodes, num_edges, num_nodes)
            found = run_inference(DEVICES["qemu"], tmp_path / "arm" / "out", inputs)
            np.testing.assert_array_equal(found["logits"], session.run(inputs)["logits"])
    wrong = {**inputs, "batch": inputs["batch"] + NUM_GRAPHS}
    with pytest.raises(DeviceError, match="kernel"):
        run_inference(DEVICES["qemu"], tmp_path / "arm" / "out", wrong)


@pytest.mark.parametrize("style", ["elements", "nd"])
def test_no_index_is_read_by_before_it_is_checked(style, tmp_path):
    sizes = Sizes(25, 70, NUM_FEATURES, 8)
    rng = np.random.default_rng(0)
    weights = random_weights(weight_shapes("edge_conditioned", sizes), rng)
    model = node_classifier("edge_conditioned", weights, sizes, style=style)
    onnx.save(model, tmp_path / "net.onnx")
    compile_model(tmp_path / "net.onnx", "host", tmp_path / "out", float_only=True)
    arrays = graph_samples(25, 70, 1, NUM_FEATURES)
    inputs = {"x": arrays["x"][0], "edge_index": arrays["edge_index"][0],
              "edge_attr": rng.random((70, NUM_ATTRIBUTES), np.float32)}  # fmt: skip
    with octavo.load(tmp_path / "out") as session:
        for at in ((0, 3), (1, 69)):
            for number in (25, -26, 2**31, -(2**40)):
                wrong = inputs["edge_index"].copy()
                wrong[at] = number
                with pytest.raises(ArtifactError, match="kernel reported a failure"):
                    session.run({**inputs, "edge_index": wrong})
        expected = node_classifier_reference("edge_conditioned", weights, inputs)
        found = session.run(inputs)["logits"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
