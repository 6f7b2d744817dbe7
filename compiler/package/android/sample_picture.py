"""A picture for the sample app: a disc before a sky, as a PNG file.

Source of the format: W3C, Portable Network Graphics (PNG) Specification.
"""

import struct
import zlib

import numpy as np

_SIZE = 256  # pixels of a row, and rows
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BITS, _RGB = 8, 2
_DISC = (236, 180, 60)
_SKY_TOP, _SKY_BOTTOM = (70, 120, 200), (190, 215, 240)


def draw_picture() -> bytes:
    """The file; the same bytes every time."""
    row, column = np.mgrid[0:_SIZE, 0:_SIZE]
    height = (row / (_SIZE - 1))[..., np.newaxis]
    sky = (1 - height) * np.array(_SKY_TOP) + height * np.array(_SKY_BOTTOM)
    is_disc = (row - _SIZE / 2) ** 2 + (column - _SIZE / 2) ** 2 < (_SIZE / 4) ** 2
    pixels = np.where(is_disc[..., np.newaxis], np.array(_DISC), sky).astype(np.uint8)
    lines = np.concatenate(  # each line begins with the number of its filter: none
        [np.zeros((_SIZE, 1), np.uint8), pixels.reshape(_SIZE, -1)], axis=1
    )
    header = struct.pack(">IIBBBBB", _SIZE, _SIZE, _BITS, _RGB, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    )
