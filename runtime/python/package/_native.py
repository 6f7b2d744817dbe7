"""The library of this package, opened at its first use."""

from __future__ import annotations

import ctypes
import functools
from typing import Any, Callable

from ._errors import CancelledError, ModelError
from ._models import LIBRARY
from ._structs import ABI_VERSION, OptionsStruct, ProgramStruct, UsageStruct

_CANCELLED = 13
_UNSUPPORTED_CPU = 6
_NUM_FEATURES = 64


class NativeLibrary:
    """The runtime and all models."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(str(LIBRARY), mode=ctypes.RTLD_LOCAL)
        except OSError as error:
            raise ImportError(f"cannot load {LIBRARY}: {error}") from error
        model, status, index = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32
        program, bind = ctypes.POINTER(ProgramStruct), self._bind
        self.load = bind(
            "octavo_load", status, program, ctypes.c_char_p, ctypes.POINTER(model)
        )
        self.prepare = bind("octavo_prepare", status, model, ctypes.POINTER(OptionsStruct))
        self.input = bind("octavo_input", model, model, index)
        self.output = bind("octavo_output", model, model, index)
        self.run = bind("octavo_run", status, model)
        self.cancel = bind("octavo_cancel", ctypes.c_bool, model)
        self.reset = bind("octavo_reset", status, model)
        self.usage = bind("octavo_get_usage", status, model, ctypes.POINTER(UsageStruct))
        self.destroy = bind("octavo_destroy", None, model)
        self.find_cpus = bind("octavo_find_cpus", ctypes.c_uint64, ctypes.c_int)
        self._message = bind("octavo_status_message", ctypes.c_char_p, status)
        self._failure = bind("octavo_failure", ctypes.c_char_p, model)
        self._missing = bind("octavo_missing_cpu_features", ctypes.c_uint64, program)
        self._feature_name = bind("octavo_cpu_feature_name", ctypes.c_char_p, index)

    def program(self, name: str) -> ProgramStruct:
        """The description of a model."""
        function = self._bind(f"octavo_{name}_program", ctypes.POINTER(ProgramStruct))
        program: ProgramStruct = function().contents
        if program.abi_version != ABI_VERSION:
            raise ImportError(f"{LIBRARY} has runtime interface {program.abi_version}")
        return program

    def check(
        self, status: int, model: ctypes.c_void_p, program: ProgramStruct, what: str
    ) -> None:
        """Raise what a status means; 0 means nothing."""
        if status == 0:
            return
        message = self._message(status).decode()
        details = ""
        if status == _UNSUPPORTED_CPU:
            missing = self._missing(program)
            bits = [bit for bit in range(_NUM_FEATURES) if missing >> bit & 1]
            details = ", ".join(self._feature_name(bit).decode() for bit in bits)
        elif model:
            details = " ".join(self._failure(model).decode("utf-8", "replace").split())
        kind = CancelledError if status == _CANCELLED else ModelError
        raise kind(status, ": ".join(part for part in (what, message, details) if part))

    def _bind(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        function = self._library[name]
        function.restype = result
        function.argtypes = arguments
        return function


@functools.cache
def native_library() -> NativeLibrary:
    """The one of this process.

    Raises:
        ImportError: This system cannot load it.
    """
    return NativeLibrary()
