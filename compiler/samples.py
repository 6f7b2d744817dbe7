"""Calibration samples and inputs from .npz and .npy files, one inference at a time.

An array for an input of shape (B, ...) holds N inferences when its shape is (N, B, ...), or,
when B is 1, (N, ...). Arrays that are no input, such as labels, are not read. A folder holds
files of one or more inferences each, taken in name order. Files are streamed: memory holds one
inference, not the file. Pickled objects are never loaded.
"""

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import onnx_ir as ir
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from octavo.compiler.counted_arrays import CountedDimension, only_in_use
from octavo.errors import DataError
from octavo.passes.message_passing.counts import counts_of
from octavo.passes.wiring import static_shape

Sample = dict[str, NDArray[Any]]


class SampleSource:
    """Inferences of a model; iterate as often as needed.

    Attributes:
        description: Where the samples come from, for messages.
    """

    def __init__(self, parts: list["_Part"], description: str) -> None:
        self._parts = parts
        self.description = description

    def __len__(self) -> int:
        """Number of inferences."""
        return sum(part.count for part in self._parts)

    def __iter__(self) -> Iterator[Sample]:
        """One array for each model input, in the model's shape and type."""
        for part in self._parts:
            yield from part.samples()


def open_samples(
    source: Path | str | Mapping[str, NDArray[Any]], model: ir.Model
) -> SampleSource:
    """Open samples and check names, shapes and types without reading the values.

    Args:
        source: A .npz file with one array for each input, a .npy file for a model with one
            input, a folder of either, or a mapping from input name to array.
        model: With static input shapes. An input with a dimension that is counted at run time
            may have any number of rows up to the largest; the input that counts may be left
            out, and else says how many of the rows in the file are in use.

    Raises:
        DataError: There are no samples, or they do not fit the model. Values are checked while
            iterating: NaN and infinity raise it too.
    """
    wanted = _wanted(model)
    if isinstance(source, Mapping):
        arrays = {name: _MemoryArray(np.asarray(a)) for name, a in source.items()}
        parts, description = [_part(arrays, wanted, "samples")], "samples"
    else:
        path, description = Path(source), str(source)
        parts = [_file_part(file, wanted) for file in _files(path)]
    opened = SampleSource(parts, description)
    if len(opened) == 0:
        raise DataError(f"{description} holds no samples; at least 1 is needed")
    return opened


@dataclass(frozen=True, eq=False)
class _Wanted:
    """What samples have to hold.

    Attributes:
        inputs: By name, without those that count rows.
        dimensions: That are counted at run time.
    """

    inputs: Mapping[str, ir.Value]
    dimensions: tuple[CountedDimension, ...]

    def counted(self, name: str) -> set[int]:
        """Axes of an input that may have fewer rows than the model."""
        return {d.inputs[name] for d in self.dimensions if name in d.inputs}


def _wanted(model: ir.Model) -> _Wanted:
    dimensions = tuple(
        CountedDimension(c.dimension, c.input, c.maximum, c.inputs, c.outputs)
        for c in counts_of(model.graph)
    )
    counting = {dimension.input for dimension in dimensions}
    inputs = {v.name or "": v for v in model.graph.inputs if v.name not in counting}
    return _Wanted(inputs, dimensions)


class _Array:
    """An array whose first axis can be read slice by slice."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def slices(self, shape: tuple[int, ...]) -> Iterator[NDArray[Any]]:
        """Consecutive pieces of one shape."""
        raise NotImplementedError


class _MemoryArray(_Array):
    def __init__(self, array: NDArray[Any]) -> None:
        self.shape, self.dtype = array.shape, array.dtype
        self._array = array

    def slices(self, shape: tuple[int, ...]) -> Iterator[NDArray[Any]]:
        for piece in self._array:
            yield np.array(piece).reshape(shape)


class _StreamedArray(_Array):
    """An array in .npy format behind something that opens it anew."""

    def __init__(self, path: Path, member: str | None) -> None:
        self._path, self._member = path, member
        with _open(path, member) as stream:
            self.shape, fortran, self.dtype = _read_header(stream, self._what())
        if fortran and len(self.shape) > 1:
            raise DataError(f"{self._what()} is stored column by column; save it in C order")
        if self.dtype.hasobject:
            raise DataError(f"{self._what()} holds Python objects; only numbers are read")

    def slices(self, shape: tuple[int, ...]) -> Iterator[NDArray[Any]]:
        num_bytes = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        with _open(self._path, self._member) as stream:
            _read_header(stream, self._what())
            for index in range(self.shape[0]):
                data = _read_exactly(stream, num_bytes)
                if len(data) != num_bytes:
                    raise DataError(f"{self._what()} is truncated after {index} samples")
                yield np.frombuffer(data, self.dtype).reshape(shape)

    def _what(self) -> str:
        return str(self._path) if self._member is None else f"{self._path}: {self._member!r}"


class _Part:
    """Samples whose arrays belong together: one file, or one mapping."""

    def __init__(
        self,
        arrays: Mapping[str, _Array],
        shapes: Mapping[str, tuple[int, ...]],
        count: int,
        dimensions: tuple[CountedDimension, ...],
    ) -> None:
        self._arrays, self._shapes, self.count = arrays, shapes, count
        self._dimensions = dimensions

    def samples(self) -> Iterator[Sample]:
        names = list(self._arrays)
        streams = [self._arrays[name].slices(self._shapes[name]) for name in names]
        for index, pieces in enumerate(zip(*streams, strict=True)):
            sample = only_in_use(dict(zip(names, pieces, strict=True)), self._dimensions)
            for name, piece in sample.items():
                if piece.dtype.kind == "f" and not np.isfinite(piece).all():
                    raise DataError(f"input {name!r}: sample {index} holds NaN or infinity")
            yield sample


def _part(arrays: Mapping[str, _Array], wanted: _Wanted, what: str) -> _Part:
    inputs = wanted.inputs
    for name in inputs:
        if name not in arrays:
            found = ", ".join(arrays) or "none"
            raise DataError(f"{what}: no array for input {name!r}; arrays: {found}")
    counts = {
        name: _check(name, arrays[name], value, wanted.counted(name), what)
        for name, value in inputs.items()
    }
    counting = [d.input for d in wanted.dimensions if d.input in arrays]
    counts |= {name: (arrays[name].shape or (0,))[0] for name in counting}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name}: {count}" for name, count in counts.items())
        raise DataError(f"{what}: inputs have different numbers of samples ({listed})")
    shapes = {name: _shape_of(arrays[name], value) for name, value in inputs.items()}
    shapes |= {name: arrays[name].shape[1:] for name in counting}
    ordered = {name: arrays[name] for name in (*inputs, *counting)}
    return _Part(ordered, shapes, next(iter(counts.values()), 0), wanted.dimensions)


def _shape_of(array: _Array, value: ir.Value) -> tuple[int, ...]:
    """The shape of one sample: a first axis of 1 may be left out in the file."""
    rank = len(static_shape(value) or ())
    return array.shape[1:] if len(array.shape) > rank else (1, *array.shape[1:])


def _check(
    name: str, array: _Array, value: ir.Value, counted: AbstractSet[int], what: str
) -> int:
    shape = static_shape(value)
    if shape is None or value.dtype is None:
        raise DataError(f"input {name!r} of the model has no static shape and type")
    expected = np.dtype(value.dtype.numpy())
    if array.dtype.newbyteorder("=") != expected or not array.dtype.isnative:
        raise DataError(
            f"{what}: input {name!r} has type {array.dtype}; the model takes {expected}"
        )
    forms = [shape, shape[1:]] if shape[:1] == (1,) else [shape]
    given = array.shape[1:]
    fits = any(
        _fits(given, form, {axis - len(shape) + len(form) for axis in counted})
        for form in forms
    )
    if not array.shape or not fits:
        allowed = " or ".join(_form(form) for form in forms)
        raise DataError(
            f"{what}: input {name!r} has shape {_text(array.shape)}; allowed: {allowed}"
        )
    return array.shape[0]


def _fits(given: tuple[int, ...], form: tuple[int, ...], counted: AbstractSet[int]) -> bool:
    """Whether sizes are those of the model, or fewer rows along a counted axis."""
    if len(given) != len(form):
        return False
    pairs = enumerate(zip(given, form, strict=True))
    return all(has == most or (axis in counted and has < most) for axis, (has, most) in pairs)


def _form(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(("N", *map(str, shape))) + ")"


def _text(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix in (".npz", ".npy"))
        if not files:
            raise DataError(f"folder {path} holds no .npz or .npy file")
        return files
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    if path.suffix not in (".npz", ".npy"):
        raise DataError(f"{path} is neither .npz nor .npy nor a folder of them")
    return [path]


def _file_part(path: Path, wanted: _Wanted) -> _Part:
    inputs = wanted.inputs
    try:
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                members = [name for name in archive.namelist() if name.endswith(".npy")]
            arrays = {
                name.removesuffix(".npy"): _StreamedArray(path, name) for name in members
            }
        elif len(inputs) == 1:
            arrays = {next(iter(inputs)): _StreamedArray(path, None)}
        else:
            raise DataError(f"{path}: the model has {len(inputs)} inputs; use .npz")
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    return _part(arrays, wanted, str(path))


def _open(path: Path, member: str | None) -> IO[bytes]:
    if member is None:
        return path.open("rb")
    archive = zipfile.ZipFile(path)
    stream = archive.open(member)
    # The archive's file stays open as long as the stream refers to it.
    archive.close()
    return stream


def _read_header(stream: IO[bytes], what: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        version = npy_format.read_magic(stream)
        if version == (1, 0):
            return npy_format.read_array_header_1_0(stream)
        if version == (2, 0):
            return npy_format.read_array_header_2_0(stream)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{what} is no .npy array: {str(error).splitlines()[0]}") from error
    raise DataError(f"{what}: .npy version {version} is not known; allowed: 1.0, 2.0")


def _read_exactly(stream: IO[bytes], num_bytes: int) -> bytes:
    try:
        data = stream.read(num_bytes)
    except (OSError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise DataError(f"samples cannot be read: {error}") from error
    return data
