"""Rules of operators that move, select, repeat or interpolate."""

import numpy as np
import onnxruntime as ort
import pytest
from tests.passes.gradients.central_differences import check, derive, values

from octavo.errors import ModelError


@pytest.mark.parametrize(
    ("node", "shape", "constants"),
    [
        ("Reshape(x, c)", "4,6", {"c": [4, -1]}),
        ("Squeeze(r, c)", "2,3,4", {"c": [1]}),
        ("Unsqueeze(x, c)", "2,1,3,4", {"c": [1]}),
        ("Slice(x, c, d)", "1,3,4", {"c": [1], "d": [9]}),
        ("Slice(x, c, d, e, f)", "2,2,4", {"c": [-1], "d": [-9], "e": [1], "f": [-2]}),
        ("Gather<axis = 1>(x, c)", "2,4,4", {"c": [2, 0, 2, -1]}),
        ("Expand(r, c)", "2,5,3,4", {"c": [2, 5, 3, 4]}),
        ("Tile(x, c)", "2,6,4", {"c": [1, 2, 1]}),
        ("Pad(x, c)", "2,4,6", {"c": [0, 0, 1, 0, 1, 1]}),
        ("Clip(x, lo, hi)", "2,3,4", {"lo": -0.91, "hi": 1.22}),
        ("Pow(q, p)", "2,3,4", {"p": 3.0}),
        ("PRelu(x, s)", "2,3,4", {"s": np.array([0.1, 0.2, 0.3, 0.4])}),
        ("Where(m, x, o)", "2,3,4", {"m": np.array([True, False, True, True]), "o": 2.0}),
        ("Concat<axis = 1>(x, q, x)", "2,9,4", {}),
    ],
)
def test_operators_that_move_or_select(node, shape, constants, rng):
    """The operand r is x with one more dimension, q is 2x."""
    text = (
        f"g (double[2,3,4] x) => (double[{shape}] y)"
        f" {{ r = Unsqueeze(x, one) q = Mul(x, two) y = {node} }}"
    )
    integers = {k: np.array(v) for k, v in constants.items() if isinstance(v, list)}
    others = {k: np.asarray(v) for k, v in constants.items() if not isinstance(v, list)}
    shared = {"one": np.array([1]), "two": np.array(2.0)}
    check(text, {"x": values(rng, 2, 3, 4)}, rng, **integers, **others, **shared)


@pytest.mark.parametrize("mode", ["asymmetric", "half_pixel", "align_corners"])
@pytest.mark.parametrize("nearest", ["floor", "round_prefer_floor", "ceil"])
def test_resize_to_the_nearest(mode, nearest, rng):
    attributes = (
        f'<mode = "nearest", coordinate_transformation_mode = "{mode}",'
        f' nearest_mode = "{nearest}">'
    )
    text = (
        "g (double[1,2,3,4] x) => (double[1,2,6,10] y)"
        f" {{ y = Resize{attributes}(x, , scales) }}"
    )
    scales = np.array([1, 1, 2, 2.5], np.float32)
    check(text, {"x": rng.normal(size=(1, 2, 3, 4))}, rng, scales=scales)


@pytest.mark.parametrize(
    "mode", ["asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners"]
)
@pytest.mark.parametrize("sizes", [(6, 10), (2, 3), (1, 4)])
def test_resize_by_interpolation(mode, sizes, rng):
    attributes = f'<mode = "linear", coordinate_transformation_mode = "{mode}">'
    text = (
        f"g (double[1,2,3,4] x) => (double[1,2,{sizes[0]},{sizes[1]}] y)"
        f" {{ y = Resize{attributes}(x, , , sizes) }}"
    )
    check(text, {"x": rng.normal(size=(1, 2, 3, 4))}, rng, sizes=np.array([1, 2, *sizes]))


def test_cubic_resize_is_refused():
    with pytest.raises(ModelError, match="Resize 'up': no derivative by its input 0"):
        derive(
            """g (double[1,2] x) => (double[1,4] y) {
                [up] y = Resize<mode = "cubic">(x, , scales) }""",
            scales=np.array([1, 2], np.float32),
        )


def test_split_with_an_output_that_nothing_reads(rng):
    text = """g (double[2,6] x) => (double[2,2] y) {
        a, b, c = Split<axis = 1, num_outputs = 3>(x)
        y = Mul(a, c) }"""
    check(text, {"x": rng.normal(size=(2, 6))}, rng)


def test_pads_that_cut_off_leave_zeros_there():
    """In onnxruntime, as the reference evaluator knows no negative pads."""
    text = "g (float[2,4] x) => (float[3,3] y) { y = Pad(x, pads) }"
    _, backward, names = derive(text, pads=np.array([1, -1, 0, 0]))
    session = ort.InferenceSession(
        backward.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    dy = np.arange(1, 10, dtype=np.float32).reshape(3, 3)
    found = session.run(names, {"x": np.ones((2, 4), np.float32), "dy": dy})[0]
    np.testing.assert_array_equal(found, [[0, 4, 5, 6], [0, 7, 8, 9]])
