"""Reading samples: every accepted form, and every mistake with its one line."""

import struct
import tracemalloc
import zipfile

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from octavo.compiler.samples import open_samples
from octavo.errors import DataError


def model_with(inputs: str) -> ir.Model:
    text = f'<ir_version: 10, opset_import: ["": 21]> g ({inputs}) => (float[1] y) {{ }}'
    return ir.from_proto(onnx.parser.parse_model(text))


IMAGE = model_with("float[1,2,3] x")
PAIR = model_with("int64[1,4] ids, float[2,3] x")


@pytest.mark.parametrize("shape", [(5, 2, 3), (5, 1, 2, 3)])
def test_batch_of_one_may_be_left_out(shape):
    data = np.arange(30, dtype=np.float32).reshape(shape)
    source = open_samples({"x": data}, IMAGE)
    assert len(source) == 5
    samples = list(source)
    assert [sample["x"].shape for sample in samples] == [(1, 2, 3)] * 5
    np.testing.assert_array_equal(
        np.concatenate([s["x"] for s in samples]), data.reshape(5, 2, 3)
    )


def test_larger_batch_has_an_axis_of_its_own():
    data = {
        "ids": np.arange(12).reshape(3, 4),
        "x": np.zeros((3, 2, 3), np.float32),
    }
    assert [s["x"].shape for s in open_samples(data, PAIR)] == [(2, 3)] * 3


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_with_labels_beside_the_inputs(tmp_path, save):
    data = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)
    save(tmp_path / "s.npz", x=data, label=np.arange(4))
    source = open_samples(tmp_path / "s.npz", IMAGE)
    for _ in range(2):  # can be read more than once
        read = [sample["x"] for sample in source]
        np.testing.assert_array_equal(np.concatenate(read), data)


def test_npy_and_folder(tmp_path):
    for index in range(3):
        np.save(tmp_path / f"{index}.npy", np.full((2, 2, 3), index, np.float32))
    np.savez(tmp_path / "9.npz", x=np.full((1, 1, 2, 3), 9, np.float32))
    assert len(open_samples(tmp_path / "0.npy", IMAGE)) == 2
    values = [int(sample["x"].max()) for sample in open_samples(tmp_path, IMAGE)]
    assert values == [0, 0, 1, 1, 2, 2, 9]


def test_memory_holds_one_sample_not_the_file(tmp_path):
    model = model_with("float[1,1000,100] x")  # 0.4 MB a sample
    np.savez(tmp_path / "s.npz", x=np.zeros((100, 1000, 100), np.float32))
    tracemalloc.start()
    count = sum(1 for _ in open_samples(tmp_path / "s.npz", model))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 100
    assert peak < 4 * 2**20  # of 40 MB


FLOATS = np.zeros((3, 2, 3), np.float32)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"image": FLOATS}, "no array for input 'x'; arrays: image"),
        (
            {"x": np.zeros((3, 3, 2), np.float32)},
            r"shape \(3, 3, 2\); allowed: \(N, 1, 2, 3\)",
        ),
        ({"x": np.zeros((2, 3), np.float32)}, "shape"),
        ({"x": np.float32(1)}, r"shape \(\)"),
        ({"x": FLOATS.astype(np.float64)}, "type float64; the model takes float32"),
        ({"x": FLOATS.astype(">f4")}, "type >f4"),
        ({"x": np.zeros((0, 2, 3), np.float32)}, "holds no samples"),
        ({}, "no array for input 'x'; arrays: none"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, data, message):
    with pytest.raises(DataError, match=message):
        open_samples(data, IMAGE)
    np.savez(tmp_path / "s.npz", **data)
    with pytest.raises(DataError, match=message):
        open_samples(tmp_path / "s.npz", IMAGE)


def test_different_numbers_of_samples():
    data = {"ids": np.zeros((3, 4), np.int64), "x": np.zeros((2, 2, 3), np.float32)}
    with pytest.raises(DataError, match=r"different numbers of samples \(ids: 3, x: 2\)"):
        open_samples(data, PAIR)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_names_input_and_sample(value):
    data = FLOATS.copy()
    data[1, 0, 0] = value
    source = open_samples({"x": data}, IMAGE)
    with pytest.raises(DataError, match="input 'x': sample 1 holds NaN or infinity"):
        list(source)


def test_paths_that_hold_no_samples(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        open_samples(tmp_path / "none.npz", IMAGE)
    with pytest.raises(DataError, match=r"folder .* holds no \.npz"):
        open_samples(tmp_path, IMAGE)
    (tmp_path / "s.csv").write_text("1,2")
    with pytest.raises(DataError, match=r"neither \.npz nor \.npy"):
        open_samples(tmp_path / "s.csv", IMAGE)


def test_npy_needs_a_model_with_one_input(tmp_path):
    np.save(tmp_path / "s.npy", FLOATS)
    with pytest.raises(DataError, match=r"2 inputs; use \.npz"):
        open_samples(tmp_path / "s.npy", PAIR)


def test_python_objects_are_never_loaded(tmp_path):
    np.savez(tmp_path / "s.npz", x=np.array([{}, {}], dtype=object))
    with pytest.raises(DataError, match="Python objects"):
        open_samples(tmp_path / "s.npz", IMAGE)


def test_column_order_is_refused(tmp_path):
    np.save(tmp_path / "s.npy", np.asfortranarray(FLOATS))
    with pytest.raises(DataError, match="C order"):
        open_samples(tmp_path / "s.npy", IMAGE)


def damaged(path, data: bytes):
    path.write_bytes(data)
    return path


def test_damaged_files(tmp_path):
    np.save(tmp_path / "s.npy", FLOATS)
    whole = (tmp_path / "s.npy").read_bytes()
    source = open_samples(damaged(tmp_path / "a.npy", whole[:-8]), IMAGE)
    with pytest.raises(DataError, match="truncated after 2 samples"):
        list(source)
    for cut in (0, 4, 20):
        with pytest.raises(DataError):
            open_samples(damaged(tmp_path / "b.npy", whole[:cut]), IMAGE)
    with pytest.raises(DataError, match="cannot be read"):
        open_samples(damaged(tmp_path / "c.npz", b"PK no archive"), IMAGE)
    np.savez_compressed(tmp_path / "s.npz", x=np.random.default_rng(0).normal(size=(3, 2, 3)))
    archive = bytearray((tmp_path / "s.npz").read_bytes())
    with zipfile.ZipFile(tmp_path / "s.npz") as opened:
        info = opened.getinfo("x.npy")
        start = (
            info.header_offset
            + 30
            + sum(
                struct.unpack(
                    "<HH", archive[info.header_offset + 26 : info.header_offset + 30]
                )
            )
        )
    archive[start : start + 40] = b"\xff" * 40
    with pytest.raises(DataError):
        list(open_samples(damaged(tmp_path / "d.npz", bytes(archive)), IMAGE))
