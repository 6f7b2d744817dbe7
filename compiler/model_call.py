"""Calls of a loaded model, one thread at a time.

Through the extension module ``native_call`` where it was built, else through ctypes, which
takes most of a microsecond longer.
"""

import ctypes
import threading
from collections.abc import Callable
from typing import Any, Protocol


class ModelCall(Protocol):
    """A loaded model; as a context, nobody else's while it lasts."""

    def __enter__(self) -> object:
        """Wait until nobody else uses the model."""

    def __exit__(self, *error: object) -> None:
        """Let others have it."""

    def use(self, model: int, /) -> None:
        """Run this ``octavo_model *`` from now on; 0: refuse to. Only within the context."""

    def bind(
        self, inputs: tuple[int, ...], outputs: tuple[int, ...], owner: Any, /
    ) -> Callable[[], None]:
        """Return a function that runs one inference, with the checks of a session.

        Args:
            inputs: Addresses, one per model input.
            outputs: Addresses, one per model output.
            owner: Kept alive by the function: what the addresses belong to.
        """


class CtypesCall:
    """A ``ModelCall`` without the extension module."""

    def __init__(self, run_copy: int, fail: Callable[[int], None]) -> None:
        pointer = ctypes.c_void_p  # passed without a check of what it points to
        self._run_copy = ctypes.CFUNCTYPE(ctypes.c_int, pointer, pointer, pointer)(run_copy)
        self._fail = fail
        self._model = 0
        self._lock = threading.Lock()

    def __enter__(self) -> object:
        self._lock.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def use(self, model: int, /) -> None:
        """As ``ModelCall``."""
        self._model = model

    def bind(
        self, inputs: tuple[int, ...], outputs: tuple[int, ...], owner: Any, /
    ) -> Callable[[], None]:
        """As ``ModelCall``."""
        sources, results = _pointers(inputs), _pointers(outputs)
        lock, run_copy, fail, kept = self._lock, self._run_copy, self._fail, [owner]

        def run() -> None:
            assert kept
            with lock:
                if not self._model:
                    raise ValueError("the session is closed")
                status = run_copy(self._model, sources, results)
            if status != 0:
                fail(status)

        return run


def model_call(run_copy: int, fail: Callable[[int], None]) -> ModelCall:
    """The fastest way there is to call a model.

    Args:
        run_copy: Address of the library's ``octavo_run_copy``.
        fail: Called with every status but 0; raises.
    """
    try:
        from octavo.compiler import native_call
    except ImportError:
        return CtypesCall(run_copy, fail)
    return native_call.ModelCall(run_copy, fail)


def _pointers(addresses: tuple[int, ...]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(addresses))(*addresses)
