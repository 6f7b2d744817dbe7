"""Errors that a user can cause, each with the exit code that the command ends with.

Programmer mistakes stay ``ValueError`` and ``TypeError``; broken invariants of a graph pass
stay ``onnx_ir.passes.PreconditionError`` and ``PostconditionError``. A message is one line:
what is wrong, its value, and what is allowed.
"""


class OctavoError(Exception):
    """Base of every error that the command reports in one line.

    Names from a model can hold any character: what would break the line, or drive a terminal
    (C0, C1, line separators, directional overrides, lone surrogates), is shown as its escape.

    Attributes:
        exit_code: 1 internal, 2 usage or bad input, 3 a gate failed, 4 device unreachable.
    """

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__("".join(map(_visible, message)))


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")


class ModelError(OctavoError):
    """The model file is malformed, unsafe, too large or uses something unsupported."""

    exit_code = 2


class DataError(OctavoError):
    """Samples or inputs do not fit the model: a wrong name, shape or type, or none at all."""

    exit_code = 2


class RecipeError(OctavoError):
    """A recipe, an override or an option of the quantizer is not allowed."""

    exit_code = 2


class TargetError(OctavoError):
    """A target name is unknown, or a target cannot run what was asked of it."""

    exit_code = 2


class ArtifactError(OctavoError):
    """An artifact folder exists already, is incomplete, or was changed after it was built."""

    exit_code = 2


class CancelledError(OctavoError):
    """Another thread ended a run before it was done."""


class LoweringError(OctavoError):
    """The model cannot be compiled for the target."""

    exit_code = 2


class ToolchainError(OctavoError):
    """The compiler or the linker failed on code that Octavo generated."""

    exit_code = 1


class StoreError(OctavoError):
    """The store of measurements is damaged, of another version, or not a store at all."""

    exit_code = 2


class GateError(OctavoError):
    """An accuracy, latency or coverage limit that the user set was not met."""

    exit_code = 3


class AddressError(OctavoError):
    """A device's name or address has none of the known forms."""

    exit_code = 2


class DeviceError(OctavoError):
    """A device does not answer, or a measurement on it failed."""

    exit_code = 4


class WorkerError(OctavoError):
    """Processes or a cluster to work on cannot be had, or have not what is asked of them."""

    exit_code = 4
