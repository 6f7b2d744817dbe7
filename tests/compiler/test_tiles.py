"""Whole networks on tiles: the same bits as without, on any number of threads.

Where the CPU has no tiles, artifacts are linked with the emulator and with a runtime that
takes this machine for one that has them; kernels, program and the rest are the real ones.
"""

import re

import numpy as np
import onnx
import pytest
from benchmarks.zoo.registry import find_entry
from onnx import helper, numpy_helper
from tests.targets.amx.conftest import EMULATOR, VECTOR_FLAGS, has_tiles

from octavo.compiler.artifact import toolchain
from octavo.compiler.artifact.manifest import read_manifest
from octavo.compiler.compile import compile_model
from octavo.compiler.session import load
from octavo.errors import TargetError
from octavo.targets.host import CPUINFO, cpu_flags

SYSTEM = EMULATOR.with_name("amx_system.c")
# VEX.128.66.0F38.W0 5E, the two bytes in front of the opcode with any register of columns.
TDPBUSD = re.compile(rb"\xc4\xe2[\x41\x49\x51\x59\x61\x69\x71\x79]\x5e[\xc0-\xff]")
TILES, VECTORS = "x86-64-amx", "x86-64-avx512vnni"


@pytest.fixture
def with_tiles(monkeypatch, tmp_path):
    """Link artifacts so that this machine runs them."""
    missing = VECTOR_FLAGS - cpu_flags(CPUINFO)
    if missing:
        pytest.skip(f"this CPU lacks {', '.join(sorted(missing))}")
    if has_tiles():
        return
    original = toolchain.runtime_objects
    runtime = toolchain.runtime_folder()
    include = [f"-I{runtime / folder}" for folder in ("include", "src")]

    def objects(zig_target, flags, **options):
        *parts, bench = original(zig_target, flags, **options)
        command = ["cc", "-target", zig_target, *toolchain.RUNTIME_FLAGS, *flags, *include]
        for source in (SYSTEM, EMULATOR):
            toolchain.zig(
                [*command, "-O3", "-c", str(source), "-o", f"{source.stem}.o"], tmp_path)
        kept = [path for path in parts if path.stem != "cpu_features"]
        assert len(kept) == len(parts) - 1
        return [*kept, tmp_path / "amx_system.o", tmp_path / "amx_emulator.o", bench]

    monkeypatch.setattr("octavo.compiler.artifact.elf_format.runtime_objects", objects)


def network():
    """Every way to a tile kernel: first layer, strides, a residual, attention, a Gemm."""
    rng = np.random.default_rng(1)
    arrays, nodes = {}, []

    def weight(*shape):
        name = f"w{len(arrays)}"
        scale = np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 10
        arrays[name] = (rng.normal(size=shape) / scale).astype(np.float32)
        return name

    def constant(values):
        name = f"c{len(arrays)}"
        arrays[name] = np.array(values, np.int64)
        return name

    def op(op_type, *inputs, **attributes):
        name = f"{op_type.lower()}{len(nodes)}"
        nodes.append(helper.make_node(op_type, list(inputs), [name], name=name, **attributes))
        return name

    stem = op("Conv", "x", weight(32, 3, 7, 7), weight(32), pads=[3] * 4, strides=[2, 2])
    a = op("Relu", stem)
    b = op("Relu", op("Conv", a, weight(64, 32, 3, 3), weight(64), pads=[1] * 4))
    c = op("Conv", b, weight(64, 1, 3, 3), weight(64), pads=[1] * 4, group=64)
    d = op("Relu", op("Add", op("Conv", c, weight(64, 64, 1, 1), weight(64)), b))
    e = op("Relu", op("Conv", d, weight(128, 64, 1, 1), weight(128), strides=[2, 2]))
    rows = op("Transpose", op("Reshape", e, constant([1, 128, 64])), perm=[0, 2, 1])
    heads = [
        op("Transpose", op("Reshape", op("Add", op("MatMul", rows, weight(128, 128)),
                                         weight(128)), constant([1, 64, 2, 64])),
           perm=[0, 2, 1, 3])
        for _ in range(3)
    ]
    keys = op("Transpose", heads[1], perm=[0, 1, 3, 2])
    scores = op("Softmax", op("MatMul", heads[0], keys), axis=-1)
    mixed = op("Transpose", op("MatMul", scores, heads[2]), perm=[0, 2, 1, 3])
    op("Gemm", op("Reshape", mixed, constant([64, 128])), weight(128, 96), weight(96))
    nodes[-1].output[0] = "y"
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g", [value("x", 1, (1, 3, 32, 32))], [value("y", 1, (64, 96))],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def build(model, samples, folder, target):
    onnx.save(model, folder / "m.onnx")
    np.savez(folder / "samples.npz", **{
        name: np.concatenate([sample[name] for sample in samples]) for name in samples[0]})
    compile_model(folder / "m.onnx", target, folder / target, samples=folder / "samples.npz",
                  use_tuned=False)
    return folder / target


def run(artifact, feeds, num_threads=1):
    with load(artifact, num_threads) as session:
        return [session.run(feed) for feed in feeds]


def compare(model, samples, folder):
    """Results on tiles with one thread and with three, against those on vectors."""
    tiles = build(model, samples, folder, TILES)
    expected = run(build(model, samples, folder, VECTORS), samples[:2])
    for num_threads in (1, 3):
        for got, wanted in zip(run(tiles, samples[:2], num_threads), expected, strict=True):
            for name, array in wanted.items():
                np.testing.assert_array_equal(got[name], array)
                assert len(np.unique(array)) > 10, "a constant output would hide errors"
    return tiles


def kernels(artifact):
    """Names of the kernels that the steps call, without their numbers."""
    steps = read_manifest(artifact)["steps"]
    return {re.sub(r"^octavo_|_\d+$", "", step["kernel"]) for step in steps}


def random_samples(count):
    rng = np.random.default_rng(2)
    return [{"x": rng.normal(size=(1, 3, 32, 32)).astype(np.float32)} for _ in range(count)]


def test_a_network_has_the_same_bits_on_tiles_and_on_vectors(with_tiles, tmp_path):
    artifact = compare(network(), random_samples(4), tmp_path)
    assert {"tile_conv", "tile_attention", "depthwise"} <= kernels(artifact)
    assert not {"conv_gemm", "matmul_gemm"} & kernels(artifact)
    assert len(TDPBUSD.findall((artifact / "kernels.o").read_bytes())) > 10
    assert not TDPBUSD.search((tmp_path / VECTORS / "kernels.o").read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "vit_tiny"])
def test_standard_networks_have_the_same_bits(with_tiles, tmp_path, name):
    entry = find_entry(name)
    samples = entry.samples(4, input_size=entry.small_size)
    compare(entry.fitted(input_size=entry.small_size), samples, tmp_path)


def test_a_refused_permission_is_told_as_such(with_tiles, tmp_path, monkeypatch):
    if has_tiles():
        pytest.skip("this system grants the permission")
    monkeypatch.setenv("AMX_REFUSED", "1")
    artifact = build(network(), random_samples(1), tmp_path, TILES)
    with pytest.raises(TargetError, match="system refuses this process the AMX tiles"):
        load(artifact)


@pytest.mark.skipif(has_tiles(), reason="this CPU has tiles")
def test_a_cpu_without_tiles_is_named(tmp_path):
    artifact = build(network(), random_samples(1), tmp_path, TILES)
    with pytest.raises(TargetError, match="amx-tile, amx-int8"):
        load(artifact)
