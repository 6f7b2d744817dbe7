"""Read a model file into a ``ModelProto`` without following anything that it points to."""

import os
import stat
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from octavo.compiler.importer.limits import Limits
from octavo.compiler.importer.tflite import read_tflite
from octavo.errors import ModelError

TFLITE_MAGIC = b"TFL3"  # FlatBuffers file identifier, bytes 4..7


def load_proto(path: str | os.PathLike[str], limits: Limits) -> onnx.ModelProto:
    """Parse an ONNX file; tensors stored in other files are not touched.

    Args:
        path: A regular file in ONNX's binary format.
        limits: Its size is checked before a byte is read.

    Returns:
        The parsed message, unchecked beyond having a graph.

    Raises:
        ModelError: The file is missing, not regular, too large, truncated or not ONNX.
        MemoryError: Its messages take more memory than there is.
    """
    path = Path(path)
    content = _read_regular_file(path, limits.file_bytes)
    if content[4:8] == TFLITE_MAGIC:
        return read_tflite(content, str(path), limits)
    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError as error:
        if "alloc failed" in str(error):
            raise MemoryError(f"'{path}'") from error
        raise ModelError(f"'{path}' is truncated or not an ONNX model") from error
    # protobuf accepts any bytes that happen to look like fields, so emptiness is the real test
    if not model.HasField("graph") or not model.opset_import:
        raise ModelError(f"'{path}' is not an ONNX model: it has no graph or no opset")
    return model


def _read_regular_file(path: Path, max_bytes: int) -> bytes:
    # O_NONBLOCK: opening a named pipe must not wait for a writer
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(f"cannot open model '{path}': {reason}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise ModelError(f"model '{path}' is not a regular file")
    with open(descriptor, "rb", buffering=0) as file:
        if status.st_size > max_bytes:
            raise ModelError(
                f"model '{path}' has {status.st_size} bytes; at most {max_bytes} are allowed"
            )
        return file.read(status.st_size)
