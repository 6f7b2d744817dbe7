"""A model that is loaded: run, cancel, close."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from numpy.typing import NDArray

from ._inputs import fitting_inputs
from ._models import MODELS, WEIGHTS
from ._native import native_library
from ._structs import OptionsStruct, UsageStruct
from ._tensor_info import TensorInfo, arena_view, tensor_info
from ._usage import Usage, read_usage

MAX_THREADS = 256
_CPU_KINDS = {"big": 0, "little": 1}


class Model:
    """An instance of a model. Runs take turns; instances are independent of each other.

    Attributes:
        name: Of the model.
        inputs: What ``run`` takes.
        outputs: What ``run`` returns.
    """

    name: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]

    def __init__(self, name: str, num_threads: int, cpus: str | None) -> None:
        self._model = ctypes.c_void_p()
        self._running = threading.Lock()
        self._freeing = threading.Lock()  # `cancel` does not wait for a run to end
        self._library = native_library()
        self._program = self._library.program(name)
        self.name = name
        try:
            self._load(WEIGHTS[name], num_threads, cpus)
        except BaseException:
            self.close()
            raise

    def _load(self, weights: os.PathLike[str], num_threads: int, cpus: str | None) -> None:
        library, program = self._library, self._program
        path, model = os.fsencode(weights), ctypes.byref(self._model)
        self._check(library.load(program, path, model), f"cannot load {weights}")
        options = OptionsStruct(num_threads=num_threads)
        if cpus is not None:
            options.cpus = library.find_cpus(_CPU_KINDS[cpus])
        self._check(library.prepare(self._model, options), f"cannot prepare {self.name}")
        inputs = [tensor_info(program.inputs[i]) for i in range(program.num_inputs)]
        outputs = [tensor_info(program.outputs[i]) for i in range(program.num_outputs)]
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self._input_views = [
            arena_view(library.input(self._model, i), info) for i, info in enumerate(inputs)
        ]
        self._output_views = [
            arena_view(library.output(self._model, i), info) for i, info in enumerate(outputs)
        ]

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run one inference.

        Args:
            inputs: One array per model input, of exactly its type and shape.

        Returns:
            One new array per model output.

        Raises:
            ValueError: An input is missing, unknown or of another shape; the model is closed.
            TypeError: An input is of another type.
            CancelledError: ``cancel`` ended the run.
            ModelError: The runtime failed.
        """
        arrays = fitting_inputs(inputs, self.inputs)
        with self._running:
            self._require_open()
            for view, array in zip(self._input_views, arrays):
                view[...] = array
            self._check(self._library.run(self._model), "the run failed")
            return {
                info.name: view.copy() for info, view in zip(self.outputs, self._output_views)
            }

    def cancel(self) -> bool:
        """End the run that another thread has begun, before its next layer.

        That run raises ``CancelledError``, and the model can be used on. State that outlives a
        run is then that of half of one, see ``reset``.

        Returns:
            Whether there was a run; if not, nothing happens.
        """
        with self._freeing:
            return bool(self._model) and bool(self._library.cancel(self._model))

    def reset(self) -> None:
        """Zero the state that outlives a run."""
        with self._running:
            self._require_open()
            self._check(self._library.reset(self._model), "the reset failed")

    def usage(self) -> Usage:
        """What the model takes, in memory and time."""
        struct = UsageStruct()
        with self._freeing:
            self._require_open()
            status = self._library.usage(self._model, ctypes.byref(struct))
            self._check(status, "cannot tell the usage")
        return read_usage(struct)

    def close(self) -> None:
        """Free memory and threads, after a run that is in progress; twice is allowed."""
        with self._running:
            self._input_views, self._output_views = [], []
            if self._model:
                with self._freeing:
                    self._library.destroy(self._model)
                    self._model.value = None

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_library"):
            self.close()

    def _require_open(self) -> None:
        if not self._model:
            raise ValueError("the model is closed")

    def _check(self, status: int, what: str) -> None:
        self._library.check(status, self._model, self._program, what)


def load(name: str | None = None, *, num_threads: int = 1, cpus: str | None = None) -> Model:
    """Load a model of this package; its weights are mapped, not copied.

    Args:
        name: One of ``MODELS``; may be left out where there is one.
        num_threads: Threads of the parallel kernels, 1..256.
        cpus: Where these threads may run, "big" or "little"; None: anywhere. A wish.

    Raises:
        ValueError: An argument is not allowed.
        ImportError: This system cannot load the library.
        ModelError: This CPU cannot run the model, or the runtime failed.
    """
    if name is None and len(MODELS) == 1:
        name = MODELS[0]
    if name is None or name not in MODELS:
        raise ValueError(f"model {name!r} not allowed; models: {', '.join(MODELS)}")
    if not 1 <= num_threads <= MAX_THREADS:
        raise ValueError(f"num_threads {num_threads} not allowed (1 to {MAX_THREADS})")
    if cpus is not None and cpus not in _CPU_KINDS:
        raise ValueError(f"cpus {cpus!r} not allowed; allowed: {', '.join(_CPU_KINDS)}")
    return Model(name, num_threads, cpus)
