import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from octavo.compiler.artifact.bit_packing import (
    Layout,
    pack_integers,
    packed_bits,
    stored_bytes,
)
from octavo.compiler.artifact.weight_blob import pack_weights
from octavo.compiler.lowering.program import Buffer, Operand, Program, Step, Storage


def weights(name, data):
    data = np.asarray(data)
    return Buffer(name, max(1, data.nbytes), Storage.WEIGHTS, data)


def program(*buffers, alignment=64):
    steps = [Step("s", "k", tuple(Operand(b) for b in buffers), (), (), "int8", "")]
    return Program("p", "host", [], [], steps, {}, alignment=alignment)


def written(blob, tmp_path):
    blob.write(tmp_path / "w")
    return (tmp_path / "w").read_bytes()


@pytest.mark.parametrize("alignment", [64, 128])
def test_constants_are_aligned_and_readable_at_their_offsets(tmp_path, alignment):
    buffers = [
        weights("a", np.arange(5, dtype=np.int8)),
        weights("b", np.arange(12, dtype=np.float32).reshape(3, 4).T),  # not contiguous
        weights("c", np.array(True)),
        weights("d", np.arange(130, dtype=np.uint8)),
        weights("e", np.arange(129, dtype=np.uint8)),
    ]
    blob = pack_weights(program(*buffers, alignment=alignment))
    data = written(blob, tmp_path)
    assert len(data) == blob.num_bytes
    for buffer in buffers:
        offset = blob.offsets[buffer]
        assert offset % buffer.alignment_of(alignment) == 0
        assert buffer.alignment_of(alignment) == (
            8 if buffer.num_bytes < alignment else alignment
        )
        assert data[offset : offset + buffer.num_bytes] == buffer.data.tobytes()


def test_equal_constants_are_stored_once():
    a, b = weights("a", np.arange(100)), weights("b", np.arange(100))
    c = weights("c", np.arange(100) * 2)
    blob = pack_weights(program(a, b, c, a))
    assert blob.offsets == {a: 0, b: 0, c: 832}


@pytest.mark.parametrize("alignment", [64, 128])
def test_the_file_ends_with_slack(tmp_path, alignment):
    buffers = [weights("a", np.arange(128, dtype=np.int8))]
    blob = pack_weights(program(*buffers, alignment=alignment))
    assert blob.num_bytes == 128 + alignment
    assert written(blob, tmp_path)[128:] == bytes(alignment)


@pytest.mark.parametrize("alignment", [64, 128])
def test_without_weights_there_is_slack_only(tmp_path, alignment):
    blob = pack_weights(program(Buffer("x", 8), alignment=alignment))
    assert written(blob, tmp_path) == bytes(alignment)


@pytest.mark.parametrize("data", [None, np.zeros(3, np.int8)])
def test_missing_or_wrongly_sized_data_is_refused(data):
    with pytest.raises(ValueError, match="weight buffer 'a'"):
        pack_weights(program(Buffer("a", 4, Storage.WEIGHTS, data)))


def expanded(blob, file):
    """What kernels read, as runtime/src/packed.c makes it."""
    memory = np.zeros(blob.memory_bytes, np.uint8)
    memory[blob.expanded_bytes :] = np.frombuffer(file, np.uint8, blob.plain_bytes)
    for constant in blob.packed:
        bits = constant.bits
        assert constant.stored_offset + bits.data.nbytes + 8 <= len(file)
        for index in range(bits.num_values):
            group = constant.stored_offset + index // 8 * bits.num_bits
            word = int.from_bytes(file[group : group + bits.num_bits], "little")
            field = word >> index % 8 * bits.num_bits & (1 << bits.num_bits) - 1
            memory[constant.offset_bytes + index] = (bits.base + field) % 256
    return memory


@pytest.mark.parametrize("alignment", [64, 128])
def test_kernels_read_packed_and_plain_constants_where_they_expect_them(tmp_path, alignment):
    rng = np.random.default_rng(0)
    buffers = [
        weights("w4", rng.integers(-7, 8, 1001).astype(np.int8)),
        weights("w8", rng.integers(-127, 128, 999).astype(np.int8)),
        weights("w3", rng.integers(-3, 4, (10, 50)).astype(np.int8)),
        weights("w2", rng.integers(-1, 2, 258).astype(np.int8)),
        weights("centred", rng.integers(121, 136, 300).astype(np.uint8)),
        weights("bias", rng.integers(-3, 4, 300).astype(np.int32)),
        weights("small", rng.integers(-7, 8, 40).astype(np.int8)),
    ]
    blob = pack_weights(program(*buffers, alignment=alignment))
    memory = expanded(blob, written(blob, tmp_path))
    for buffer in buffers:
        offset = blob.offsets[buffer]
        assert offset % buffer.alignment_of(alignment) == 0
        assert memory[offset : offset + buffer.num_bytes].tobytes() == buffer.data.tobytes()
    assert [c.bits.num_bits for c in blob.packed] == [4, 3, 2, 4]
    assert blob.expanded_bytes % alignment == 0
    sizes = [(1001, 4), (500, 3), (258, 2), (300, 4)]
    assert blob.num_bytes == (
        blob.plain_bytes + sum(stored_bytes(*size) for size in sizes) + 8
    )


def test_packing_is_left_out_on_request_and_where_nothing_is_narrow(tmp_path):
    narrow = weights("w4", np.resize(np.arange(-7, 8), 1000).astype(np.int8))
    wide = weights("w8", np.resize(np.arange(-127, 128), 1000).astype(np.int8))
    plain = pack_weights(program(narrow, wide), pack_bits=False)
    assert plain.packed == ()
    assert plain.memory_bytes == plain.num_bytes == 2112
    assert pack_weights(program(wide)).packed == ()
    assert len(written(plain, tmp_path)) == plain.num_bytes


@pytest.mark.parametrize(
    ("num_values", "weight_bits", "num_bytes"),
    [
        (0, 4, 0),
        (1, 3, 3),
        (8, 3, 3),
        (9, 3, 6),
        (16, 2, 4),
        (16, 4, 8),
        (7, 8, 7),
        (7, 16, 28),
    ],
)
def test_stored_bytes(num_values, weight_bits, num_bytes):
    assert stored_bytes(num_values, weight_bits) == num_bytes


@pytest.mark.parametrize(("num_values", "weight_bits"), [(-1, 4), (1, 1), (1, 17)])
def test_stored_bytes_refuses_what_no_layer_has(num_values, weight_bits):
    with pytest.raises(ValueError, match="not 0 or more values of 2 to 16 bits"):
        stored_bytes(num_values, weight_bits)


@given(
    hnp.arrays(np.int8, st.integers(144, 300), elements=st.integers(0, 15)),
    st.integers(-128, 112),
)
def test_bits_are_packed_and_read_back(fields, low):
    array = fields + np.int8(low)
    bits = packed_bits(array)
    assert bits is not None
    assert bits.data.nbytes == -(-array.size // 8) * bits.num_bits
    words = bits.data.reshape(-1, bits.num_bits)
    ones = np.unpackbits(words, axis=1, bitorder="little").reshape(-1, bits.num_bits)
    values = (ones << np.arange(bits.num_bits)).sum(axis=1)[: array.size] + bits.base
    assert (values.astype(np.uint8).view(np.int8) == array).all()


@pytest.mark.parametrize(("largest", "num_bits"), [(1, 2), (7, 4), (127, 8)])
def test_weights_that_kernels_read_as_int16_are_stored_as_bytes_of_few_bits(largest, num_bits):
    rng = np.random.default_rng(0)
    wide = rng.integers(-largest, largest + 1, 1000).astype(np.int16)
    bits, narrow = packed_bits(wide), pack_integers(wide.astype(np.int8))
    assert bits.layout is Layout.WORDS
    assert (bits.num_values, bits.num_bits) == (1000, num_bits)
    assert (bits.data == narrow.data).all()
    assert bits.data.nbytes == stored_bytes(1000, num_bits)


@pytest.mark.parametrize(("largest", "num_bits"), [(1, 2), (3, 3)])
def test_pairs_of_narrow_weights_in_a_byte_are_stored_in_fewer_bits(largest, num_bits):
    weights = np.random.default_rng(0).integers(-largest, largest + 1, 1000).astype(np.int8)
    pairs = (weights[::2] & 15) | np.left_shift(weights[1::2], 4)
    bits = packed_bits(pairs)
    assert (bits.layout, bits.num_values, bits.num_bits) == (Layout.NIBBLES, 1000, num_bits)
    assert (bits.data == pack_integers(weights).data).all()
    wide = np.random.default_rng(0).integers(-7, 8, 1000).astype(np.int8)
    assert packed_bits((wide[::2] & 15) | np.left_shift(wide[1::2], 4)) is None


def test_words_of_four_weights_are_packed_as_weights():
    quads = np.random.default_rng(0).integers(-7, 8, (64, 4)).astype(np.int8)
    bits, words = packed_bits(quads), packed_bits(quads.view(np.int32))
    assert (words.num_values, words.num_bits, words.base) == (256, 4, 249)
    assert (words.data == bits.data).all()


@pytest.mark.parametrize(
    "array",
    [
        np.array([0, 16, 127, -128] * 80, np.int8),  # eight bits, and four in each half
        np.arange(-7, 8, dtype=np.int32).repeat(20),  # numbers of four bytes
        np.full(100, 0x20010203, np.int32),
        np.arange(128, 600, dtype=np.int16),
        np.zeros(30, np.int16),
        np.zeros(300, np.float32),
        np.zeros(70, np.int8),  # next to nothing to save
        np.zeros(0, np.int8),
    ],
)
def test_other_constants_are_not_packed(array):
    assert packed_bits(array) is None
