"""Running an artifact from Python. Needs numpy and nothing else of the compiler."""

import ctypes
import os
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.artifact.manifest import read_manifest, verify_files
from octavo.compiler.closing import Closing
from octavo.compiler.counted_arrays import counted_dimensions, cut_off
from octavo.compiler.example_inputs import example_inputs
from octavo.compiler.fitting_arrays import (
    check_names,
    fitting,
    fitting_inputs,
    inputs_in_use,
)
from octavo.compiler.machine_code import refuse_foreign_code, refuse_static_library
from octavo.compiler.model_call import model_call
from octavo.compiler.native_library import (
    ACCELERATOR_FAILED,
    NO_ACCELERATOR,
    TILES_REFUSED,
    UNSUPPORTED_CPU,
    NativeLibrary,
)
from octavo.compiler.native_structs import OptionsStruct, UsageStruct
from octavo.compiler.session_records import BoundRun, StepProfile
from octavo.compiler.tensor_info import arena_view, tensor_info
from octavo.compiler.usage import Usage, read_usage
from octavo.errors import ArtifactError, DataError, DeviceError, TargetError

MAX_THREADS = 256


class Session(Closing):
    """A loaded artifact. One run at a time; sessions are independent of each other.

    Attributes:
        manifest: The artifact's manifest.
        inputs: What ``run`` takes.
        outputs: What ``run`` returns.
    """

    def __init__(
        self,
        directory: Path,
        manifest: dict[str, Any],
        num_threads: int,
        cache_folder: Path | None = None,
    ) -> None:
        self.manifest = manifest
        self._counted = counted_dimensions(manifest)
        self._model = ctypes.c_void_p()
        self._freeing = threading.Lock()  # `cancel` does not wait for a run to end
        self._library = NativeLibrary(directory / "libmodel.so")
        self._fail = partial(self._library.fail, self._model)
        self._call = model_call(self._library.run_copy, self._fail)
        try:
            self._load(directory, num_threads, cache_folder)
            program = self._library.program
            self.inputs = tuple(
                tensor_info(program.inputs[i]) for i in range(program.num_inputs)
            )
            self.outputs = tuple(
                tensor_info(program.outputs[i]) for i in range(program.num_outputs)
            )
            self._input_views = [
                arena_view(self._library.input(self._model, i), info)
                for i, info in enumerate(self.inputs)
            ]
            self._output_views = [
                arena_view(self._library.output(self._model, i), info)
                for i, info in enumerate(self.outputs)
            ]
        except BaseException:
            self.close()
            raise

    def _load(self, directory: Path, num_threads: int, cache_folder: Path | None) -> None:
        library = self._library
        path = os.fsencode(directory / "weights.bin")
        status = library.load(library.program, path, ctypes.byref(self._model))
        if status != 0:
            raise ArtifactError(f"{directory}: {library.message(status)}")
        options = OptionsStruct(num_threads=num_threads)
        if cache_folder is not None:
            options.cache_folder = os.fsencode(cache_folder)
        status = library.prepare(self._model, options)
        if status == UNSUPPORTED_CPU:
            missing = ", ".join(library.missing_cpu_features())
            raise TargetError(f"{directory}: {library.message(status)}: {missing}")
        if status == TILES_REFUSED:
            raise TargetError(f"{directory}: {library.message(status)}")
        if status in (NO_ACCELERATOR, ACCELERATOR_FAILED):
            details = library.failure(self._model)
            raise DeviceError(f"{directory}: {library.message(status)}: {details}")
        if status != 0:
            raise ArtifactError(f"{directory}: {library.message(status)}")
        self._call.use(self._model.value or 0)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run one inference.

        Args:
            inputs: One array per model input, of exactly its type and shape. Of a dimension
                that is counted at run time there may be any number of rows up to the largest,
                and the input that counts them may be left out; with it, arrays may have more
                rows than are in use.

        Returns:
            One new array per model output; of such a dimension, the rows in use.

        Raises:
            DataError: An input is missing, unknown, or of another type or shape.
        """
        arrays, counts = self._in_use(inputs)
        with self._call:
            self._require_open()
            self._set_inputs(arrays)
            self._succeed(self._library.run(self._model))
            views = {
                info.name: view
                for info, view in zip(self.outputs, self._output_views, strict=True)
            }
            used = cut_off(views, self._counted, counts)
            return {name: view.copy() for name, view in used.items()}

    def bind(
        self,
        inputs: Mapping[str, NDArray[Any]],
        outputs: Mapping[str, NDArray[Any]] | None = None,
    ) -> BoundRun:
        """Prepare repeated runs on the same arrays, for networks of microseconds.

        Args:
            inputs: As for ``run``, and contiguous.
            outputs: Contiguous arrays to write to, by name; those of outputs that are not
                named, and all when None, are new.

        Returns:
            The runs; they keep the arrays alive, and end with the session.

        Raises:
            DataError: An array is missing, unknown, of another type or shape, or not
                contiguous or not writable memory.
        """
        sources = fitting_inputs(inputs, self.inputs)
        given = {} if outputs is None else outputs
        check_names(given, [info.name for info in self.outputs], "output", "gives")
        results = [
            fitting(given[info.name], info, "output", "gives")
            if info.name in given
            else np.empty(info.shape, info.dtype)
            for info in self.outputs
        ]
        infos, arrays = (*self.inputs, *self.outputs), (*sources, *results)
        for info, array in zip(infos, arrays, strict=True):
            if not array.flags.c_contiguous:
                raise DataError(f"the array of {info.name!r} is not contiguous")
        for info, array in zip(self.outputs, results, strict=True):
            if not array.flags.writeable:
                raise DataError(f"the array of {info.name!r} is read-only")
        return BoundRun(
            {info.name: array for info, array in zip(self.inputs, sources, strict=True)},
            {info.name: array for info, array in zip(self.outputs, results, strict=True)},
            self._call.bind(_addresses(sources), _addresses(results), (self, arrays)),
        )

    def profile(
        self, inputs: Mapping[str, NDArray[Any]] | None = None, runs: int = 30, warmup: int = 5
    ) -> list[StepProfile]:
        """Measure every step.

        Args:
            inputs: As for ``run``; None: ``examples``.
            runs: Measured runs, at least 1.
            warmup: Runs before them.

        Returns:
            One record per step, in the order of the run.
        """
        arrays, _ = self._in_use(inputs if inputs is not None else self.examples())
        samples = np.empty(
            (_positive(runs, "runs"), self._library.program.num_steps), np.uint64
        )
        with self._call:
            self._require_open()
            for run in range(-warmup, runs):
                self._set_inputs(arrays)
                row = samples[max(run, 0)]
                pointer = row.ctypes.data_as(ctypes.POINTER(ctypes.c_uint64))
                self._succeed(self._library.run_timed(self._model, pointer))
            steps = self._library.program.steps
            return [
                StepProfile(
                    index=i,
                    name=steps[i].name.decode("utf-8", "replace"),
                    kernel=steps[i].kernel.decode("utf-8", "replace"),
                    macs=steps[i].macs,
                    latencies_us=tuple((samples[:, i] / 1e3).tolist()),
                )
                for i in range(samples.shape[1])
            ]

    def measure(
        self, inputs: Mapping[str, NDArray[Any]] | None = None, runs: int = 30, warmup: int = 5
    ) -> NDArray[np.float64]:
        """Latencies of whole runs in microseconds, (runs,), without copies and step clocks.

        Args:
            inputs: As for ``run``; None: ``examples``.
            runs: Measured runs, at least 1.
            warmup: Runs before them.
        """
        from time import perf_counter_ns

        arrays, _ = self._in_use(inputs if inputs is not None else self.examples())
        latencies_us = np.empty(_positive(runs, "runs"))
        with self._call:
            self._require_open()
            for run in range(-warmup, runs):
                self._set_inputs(arrays)
                start_ns = perf_counter_ns()
                status = self._library.run(self._model)
                latencies_us[max(run, 0)] = (perf_counter_ns() - start_ns) / 1e3
                self._succeed(status)
        return latencies_us

    def cancel(self) -> bool:
        """End the run that another thread has begun, before its next layer.

        That run raises ``CancelledError``, and the session can be used on. State that outlives
        a run is then that of half of one, see ``reset``.

        Returns:
            Whether there was a run; if not, nothing happens.
        """
        with self._freeing:
            return bool(self._model) and bool(self._library.cancel(self._model))

    def usage(self) -> Usage:
        """What the model takes, in memory and time."""
        struct = UsageStruct()
        with self._freeing:
            self._require_open()
            self._succeed(self._library.usage(self._model, ctypes.byref(struct)))
        return read_usage(struct)

    def reset(self) -> None:
        """Zero the state that outlives a run."""
        with self._call:
            self._require_open()
            self._succeed(self._library.reset(self._model))

    def examples(self) -> dict[str, NDArray[Any]]:
        """Inputs of the right names, types and shapes: zeros, and edges of random graphs."""
        zeros = {info.name: np.zeros(info.shape, info.dtype) for info in self.inputs}
        return zeros | example_inputs(self.manifest)

    def close(self) -> None:
        """Free the model's memory and threads; closing twice is allowed."""
        with self._call:
            self._input_views, self._output_views = [], []
            if self._model:
                self._call.use(0)
                with self._freeing:
                    self._library.destroy(self._model)
                    self._model.value = None
            self._library.close()

    def __del__(self) -> None:
        if hasattr(self, "_call"):
            self.close()

    def _require_open(self) -> None:
        if not self._model:
            raise ValueError("the session is closed")

    def _succeed(self, status: int) -> None:
        if status != 0:
            self._fail(status)

    def _in_use(
        self, inputs: Mapping[str, NDArray[Any]]
    ) -> tuple[list[NDArray[Any]], dict[str, NDArray[Any]]]:
        """Inputs with the rows in use, and those that count them."""
        if not self._counted:
            return fitting_inputs(inputs, self.inputs), {}
        return inputs_in_use(inputs, self.inputs, self._counted)

    def _set_inputs(self, arrays: list[NDArray[Any]]) -> None:
        for view, array in zip(self._input_views, arrays, strict=True):
            # Behind the rows in use, memory stays as it is.
            view[tuple(map(slice, array.shape)) if self._counted else ...] = array


def load(
    directory: str | os.PathLike[str],
    num_threads: int = 1,
    verify: bool = True,
    cache_folder: str | os.PathLike[str] | None = None,
) -> Session:
    """Load an artifact.

    Args:
        directory: Folder that the compiler wrote.
        num_threads: Threads of the parallel kernels, 1..256.
        verify: Check every file against the manifest's checksums first.
        cache_folder: Folder, which exists, where what an accelerator's compiler made of the
            kernels stays for the next time; None compiles them anew.

    Raises:
        ArtifactError: The folder is not an artifact, or was changed after it was built.
        TargetError: This CPU cannot run it.
        DeviceError: There is no accelerator that it can run on, or its driver failed.
    """
    if not 1 <= num_threads <= MAX_THREADS:
        raise ValueError(f"num_threads {num_threads} not allowed (1 to {MAX_THREADS})")
    folder = Path(directory).absolute()
    manifest = read_manifest(folder)
    if verify:
        verify_files(folder, manifest)
    refuse_static_library(Path(directory), manifest)
    for name in ("libmodel.so", "weights.bin"):
        if not (folder / name).is_file():
            raise ArtifactError(f"{folder}: {name} is missing")
    refuse_foreign_code(folder / "libmodel.so", manifest)
    cache = None if cache_folder is None else Path(cache_folder).absolute()
    return Session(folder, manifest, num_threads, cache)


def _addresses(arrays: Sequence[NDArray[Any]]) -> tuple[int, ...]:
    return tuple(array.ctypes.data for array in arrays)


def _positive(value: int, name: str) -> int:
    if value < 1:
        raise ValueError(f"{name} {value} not allowed (at least 1)")
    return value
