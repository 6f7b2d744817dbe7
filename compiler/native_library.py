"""The C interface of libmodel.so through ctypes; mirrors octavo_runtime.h."""

import _ctypes
import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from octavo.compiler.native_structs import (
    ABI_VERSION,
    OptionsStruct,
    ProgramStruct,
    UsageStruct,
)
from octavo.errors import ArtifactError, CancelledError, DeviceError

UNSUPPORTED_CPU = 6
TILES_REFUSED = 10
NO_ACCELERATOR = 11
KERNEL_FAILED = 9
ACCELERATOR_FAILED = 12
CANCELLED = 13
_MAX_FEATURES = 64


class NativeLibrary:
    """One loaded libmodel.so.

    Attributes:
        program: What it computes.
    """

    def __init__(self, path: Path) -> None:
        # The loader compares paths with those of libraries that are still open. A file that
        # was replaced meanwhile would be taken for the old one, so it is opened under a name
        # of its own, which stays taken as long as the descriptor is open.
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        unique = f"/proc/self/fd/{self._descriptor}"
        try:
            self._library = ctypes.CDLL(
                unique if sys.platform == "linux" else str(path), mode=ctypes.RTLD_LOCAL
            )
        except OSError as error:
            os.close(self._descriptor)
            reason = str(error).replace(unique, "")
            raise ArtifactError(f"cannot load {path}: {reason.lstrip(': ')}") from error
        try:
            entry = self._function("octavo_entry", ctypes.POINTER(ProgramStruct))
            self.program: ProgramStruct = entry().contents
            if self.program.abi_version != ABI_VERSION:
                raise ArtifactError(
                    f"{path}: runtime interface {self.program.abi_version};"
                    f" readable: {ABI_VERSION}"
                )
            self._bind()
        except AttributeError as error:
            self.close()
            raise ArtifactError(f"{path} is not a model library: {error}") from error
        except ArtifactError:
            self.close()
            raise

    def _function(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        function = self._library[name]
        function.restype = result
        function.argtypes = arguments
        return function

    def _bind(self) -> None:
        model, status, index = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32
        program = ctypes.POINTER(ProgramStruct)
        bind = self._function
        self.load = bind(
            "octavo_load", status, program, ctypes.c_char_p, ctypes.POINTER(model)
        )
        self.prepare = bind("octavo_prepare", status, model, ctypes.POINTER(OptionsStruct))
        self.input = bind("octavo_input", ctypes.c_void_p, model, index)
        self.output = bind("octavo_output", ctypes.c_void_p, model, index)
        self.run = bind("octavo_run", status, model)
        address = ctypes.cast(self._library["octavo_run_copy"], ctypes.c_void_p).value
        self.run_copy: int = address or 0  # see model_call.py
        self.run_timed = bind(
            "octavo_run_timed", status, model, ctypes.POINTER(ctypes.c_uint64)
        )
        self.reset = bind("octavo_reset", status, model)
        self.cancel = bind("octavo_cancel", ctypes.c_bool, model)
        self.usage = bind("octavo_get_usage", status, model, ctypes.POINTER(UsageStruct))
        self.destroy = bind("octavo_destroy", None, model)
        self._failure = bind("octavo_failure", ctypes.c_char_p, model)
        self._message = bind("octavo_status_message", ctypes.c_char_p, status)
        self._missing = bind("octavo_missing_cpu_features", ctypes.c_uint64, program)
        self._feature_name = bind("octavo_cpu_feature_name", ctypes.c_char_p, index)

    def message(self, status: int) -> str:
        """What the runtime says of a status."""
        text: bytes = self._message(status)
        return text.decode()

    def fail(self, model: ctypes.c_void_p, status: int) -> NoReturn:
        """Raise what a status of a run means."""
        if status == ACCELERATOR_FAILED:
            details = self.failure(model)
            raise DeviceError(f"the run failed: {self.message(status)}: {details}")
        if status == CANCELLED:
            raise CancelledError(self.message(status))
        if status == KERNEL_FAILED:
            step = self.failure(model)
            raise ArtifactError(f"the run failed: {self.message(status)}: {step}")
        raise ArtifactError(f"the run failed: {self.message(status)}")

    def failure(self, model: ctypes.c_void_p) -> str:
        """What an accelerator's driver said of the last failure, on one line."""
        text: bytes = self._failure(model)
        return " ".join(text.decode("utf-8", "replace").split())

    def missing_cpu_features(self) -> list[str]:
        """Instruction sets that the program needs and this CPU lacks."""
        missing: int = self._missing(ctypes.byref(self.program))
        return [self.feature_name(b) for b in range(_MAX_FEATURES) if missing >> b & 1]

    def feature_name(self, bit: int) -> str:
        """Name of a feature bit, or an empty string."""
        name: bytes = self._feature_name(bit)
        return name.decode()

    def close(self) -> None:
        """Unload; nothing of the library may be used afterwards."""
        if self._descriptor < 0:
            return
        if sys.platform != "win32":
            _ctypes.dlclose(self._library._handle)
        os.close(self._descriptor)
        self._descriptor = -1
