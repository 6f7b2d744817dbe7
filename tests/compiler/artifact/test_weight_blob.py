import numpy as np
import pytest

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
        weights("d", np.ones(130, np.int8)),
        weights("e", np.ones(129, np.int8)),
    ]
    blob = pack_weights(program(*buffers, alignment=alignment))
    data = written(blob, tmp_path)
    assert len(data) == blob.num_bytes
    for buffer in buffers:
        offset = blob.offsets[buffer]
        assert offset % buffer.alignment_of(alignment) == 0
        assert buffer.alignment_of(alignment) == (
            8 if buffer.num_bytes < alignment else alignment)
        assert data[offset : offset + buffer.num_bytes] == buffer.data.tobytes()


def test_equal_constants_are_stored_once():
    a, b = weights("a", np.ones(100, np.int8)), weights("b", np.ones(100, np.int8))
    c = weights("c", np.ones(100, np.uint8) * 2)
    blob = pack_weights(program(a, b, c, a))
    assert blob.offsets == {a: 0, b: 0, c: 128}


@pytest.mark.parametrize("alignment", [64, 128])
def test_the_file_ends_with_slack(tmp_path, alignment):
    buffers = [weights("a", np.ones(128, np.int8))]
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
