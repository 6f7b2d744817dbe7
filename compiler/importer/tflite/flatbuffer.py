"""Checked access to FlatBuffers: every offset is verified before it is followed.

The Python package ``flatbuffers`` has no verifier, and its accessors follow any offset; they
would read a damaged file wherever it points. Nothing here returns anything from outside the
file, nothing recurses, and the items that are read are counted: offsets of many tables may
lead to the same place, so that a small file could stand for a huge one.

Source: https://flatbuffers.dev/internals, "Tables" and "Vectors".
"""

import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from octavo.errors import ModelError

_OFFSET_BYTES = 4
_VTABLE_HEADER_BYTES = 4  # its own size and the table's size, 16 bits each


class FlatBuffer:
    """A file that is read as FlatBuffers.

    Args:
        content: The whole file.
        name: What messages call it.
        max_items: Tables, and elements of vectors and strings, that may be read in all.
    """

    def __init__(self, content: bytes, name: str, max_items: int) -> None:
        self.content: Final = content
        self._name = name
        self._items_left = max_items

    def root(self) -> "Table":
        """Return the table that the file begins with."""
        return Table(self, self.follow(0, "root"), "root")

    def damaged(self, what: str) -> ModelError:
        """Return the error that says what is wrong with the file."""
        return ModelError(f"'{self._name}' is a damaged TFLite model: {what}")

    def number(self, position: int, kind: str, what: str) -> Any:
        """Return the number at a position; ``kind`` is a format character of ``struct``."""
        size = struct.calcsize(kind)
        if not 0 <= position <= len(self.content) - size:
            raise self.damaged(f"{what} lies outside the file")
        return struct.unpack_from(f"<{kind}", self.content, position)[0]

    def follow(self, position: int, what: str) -> int:
        """Return the position that the unsigned offset at a position leads to."""
        offset = self.number(position, "I", what)
        if offset == 0:
            raise self.damaged(f"{what} refers to itself")
        return int(position + offset)

    def vector(self, position: int, item_bytes: int, what: str) -> tuple[int, int]:
        """Return where the items of the vector at a position begin, and their number."""
        length = self.number(position, "I", what)
        begin = position + _OFFSET_BYTES
        if length * item_bytes > len(self.content) - begin:
            raise self.damaged(f"{what} has {length} items, more than the file holds")
        return begin, int(length)

    def count(self, num_items: int) -> None:
        """Note that so many items are read."""
        self._items_left -= num_items
        if self._items_left < 0:
            raise self.damaged("its parts refer to each other again and again")


class Table:
    """A table whose header is verified; its fields are verified as they are read.

    Args:
        buffer: The file.
        position: Where the table begins.
        name: What messages call it.
    """

    def __init__(self, buffer: FlatBuffer, position: int, name: str) -> None:
        buffer.count(1)
        self._buffer, self._position, self.name = buffer, position, name
        self._vtable = position - buffer.number(position, "i", name)
        self._vtable_bytes = buffer.number(self._vtable, "H", f"the fields of {name}")
        self._table_bytes = buffer.number(self._vtable + 2, "H", f"the fields of {name}")
        if (
            self._vtable_bytes < _VTABLE_HEADER_BYTES
            or self._vtable_bytes % 2
            or self._vtable + self._vtable_bytes > len(buffer.content)
            or self._table_bytes < _OFFSET_BYTES
            or position + self._table_bytes > len(buffer.content)
        ):
            raise buffer.damaged(f"{name} has a wrong size")

    def number(self, slot: int, kind: str, default: Any = 0) -> Any:
        """Return a scalar field; ``kind`` is a format character of ``struct``."""
        position = self._field(slot, struct.calcsize(kind))
        if position is None:
            return default
        return self._buffer.number(position, kind, self.name)

    def text(self, slot: int) -> str:
        """Return a string, "" where it is absent; bytes that are not UTF-8 are refused."""
        data = self.numbers(slot, np.uint8).tobytes()
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise self._buffer.damaged(f"a name in {self.name} is not UTF-8") from error

    def numbers(self, slot: int, dtype: Any, *, is_counted: bool = True) -> NDArray[Any]:
        """Return a vector of numbers as a view of the file; empty where it is absent.

        Args:
            slot: Number of the field.
            dtype: Of its items; they are stored little-endian.
            is_counted: Whether the items count; weights, which are not copied, do not.
        """
        stored = np.dtype(dtype).newbyteorder("<")
        begin, length = self._vector(slot, stored.itemsize)
        if is_counted:
            self._buffer.count(length)
        return np.frombuffer(self._buffer.content, stored, length, begin)

    def table(self, slot: int, name: str) -> "Table | None":
        """Return a table that a field refers to, or None."""
        position = self._field(slot, _OFFSET_BYTES)
        if position is None:
            return None
        return Table(self._buffer, self._buffer.follow(position, name), name)

    def tables(self, slot: int, name: str, maximum: int) -> list["Table"]:
        """Return a vector of tables, at most ``maximum`` of them.

        Raises:
            ModelError: There are more, or one lies outside the file.
        """
        begin, length = self._vector(slot, _OFFSET_BYTES)
        if length > maximum:
            raise ModelError(f"the model has {length} {name}s; at most {maximum} are allowed")
        positions = range(begin, begin + length * _OFFSET_BYTES, _OFFSET_BYTES)
        return [
            Table(self._buffer, self._buffer.follow(place, f"{name} {i}"), f"{name} {i}")
            for i, place in enumerate(positions)
        ]

    def _vector(self, slot: int, item_bytes: int) -> tuple[int, int]:
        position = self._field(slot, _OFFSET_BYTES)
        if position is None:
            return 0, 0
        what = f"field {slot} of {self.name}"
        return self._buffer.vector(self._buffer.follow(position, what), item_bytes, what)

    def _field(self, slot: int, num_bytes: int) -> int | None:
        """Return the position of a field, None where it has its default."""
        entry = _VTABLE_HEADER_BYTES + 2 * slot
        if entry + 2 > self._vtable_bytes:
            return None
        offset = self._buffer.number(self._vtable + entry, "H", self.name)
        if offset == 0:
            return None
        if offset < _OFFSET_BYTES or offset + num_bytes > self._table_bytes:
            raise self._buffer.damaged(f"field {slot} of {self.name} lies outside of it")
        return int(self._position + offset)
