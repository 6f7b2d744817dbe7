"""Strided views against what numpy does with the same axes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.compiler.lowering.program import Buffer
from octavo.compiler.lowering.tensor import (
    Tensor,
    channels_last,
    dense_strides,
    identity,
    reshape_groups,
)

shapes = st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=5).map(tuple)


def make(shape, order):
    """A dense tensor, its flat memory, and the array that it stands for."""
    flat = np.arange(int(np.prod(shape)))
    tensor = Tensor(Buffer("t", flat.nbytes), "int64", shape, dense_strides(shape, order))
    stored = flat.reshape([shape[a] for a in order])
    return tensor, flat, stored.transpose(np.argsort(order))


def read(tensor, flat):
    indices = np.full(tensor.shape, tensor.offset)
    for axis, (size, stride) in enumerate(zip(tensor.shape, tensor.strides, strict=True)):
        along = [1] * tensor.rank
        along[axis] = size
        indices = indices + (np.arange(size) * stride).reshape(along)
    return flat[indices]


def test_channels_last_is_nhwc():
    tensor, flat, array = make((2, 3, 4, 5), channels_last(4))
    assert tensor.strides == (60, 1, 15, 3)
    np.testing.assert_array_equal(read(tensor, flat), array)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(shapes, st.randoms(use_true_random=False))
def test_transpose_is_a_view(shape, random):
    order = list(range(len(shape)))
    random.shuffle(order)
    perm = list(range(len(shape)))
    random.shuffle(perm)
    tensor, flat, array = make(shape, tuple(order))
    np.testing.assert_array_equal(
        read(tensor.transposed(tuple(perm)), flat), array.transpose(perm)
    )


@settings(max_examples=200, deadline=None, derandomize=True)
@given(shapes, st.randoms(use_true_random=False))
def test_reshape_is_a_view_or_none_and_its_order_makes_it_one(shape, random):
    order = list(range(len(shape)))
    random.shuffle(order)
    tensor, flat, array = make(shape, tuple(order))
    wanted = _another_shape(shape, random)
    viewed = tensor.reshaped(wanted)
    if viewed is not None:
        np.testing.assert_array_equal(read(viewed, flat), array.reshape(wanted))
    copied, copy_flat, _ = make(shape, tensor.reshape_order(wanted))
    again = copied.reshaped(wanted)
    assert again is not None
    stored = read(copied, copy_flat)
    np.testing.assert_array_equal(read(again, copy_flat), stored.reshape(wanted))


def _another_shape(shape, random):
    """Cut the elements into axes anew."""
    rest, axes = int(np.prod(shape)), []
    while rest > 1:
        divisor = random.choice([d for d in range(1, rest + 1) if rest % d == 0])
        axes.append(divisor)
        rest //= divisor
    random.shuffle(axes)
    return tuple(axes) or (1,)


def test_row_major_reshape_never_copies():
    tensor, _, _ = make((2, 3, 4), identity(3))
    assert tensor.reshaped((6, 4)) is not None
    assert tensor.reshaped((4, 6)) is not None


def test_merging_channels_with_rows_needs_a_copy():
    tensor, _, _ = make((1, 4, 2, 2), channels_last(4))
    assert tensor.reshaped((1, 16)) is None
    assert tensor.reshaped((1, 4, 4)) is not None  # rows and columns are neighbours


def test_reverse_slice_and_broadcast_are_views():
    tensor, flat, array = make((3, 4), identity(2))
    np.testing.assert_array_equal(read(tensor.sliced(1, 3, 4, -1), flat), array[:, ::-1])
    np.testing.assert_array_equal(
        read(tensor.sliced(0, 1, 1).expanded((5, 4)), flat), np.repeat(array[1:2], 5, 0)
    )


def test_dense_means_from_the_start_without_gaps():
    tensor, _, _ = make((1, 4, 2, 2), channels_last(4))
    assert tensor.is_dense(channels_last(4))
    assert not tensor.is_dense(identity(4))
    assert not tensor.sliced(1, 0, 2).is_dense(channels_last(4))
    assert not tensor.sliced(2, 1, 1).is_dense(channels_last(4))


def test_groups_have_equal_products():
    assert reshape_groups((2, 12, 3), (2, 4, 3, 3)) == [
        ((0,), (0,)),
        ((1,), (1, 2)),
        ((2,), (3,)),
    ]
    assert reshape_groups((1, 6), (6,)) == [((0, 1), (0,))]
