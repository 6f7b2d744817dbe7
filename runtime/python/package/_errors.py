"""What the runtime refuses. Wrong arguments are ValueError and TypeError, as everywhere."""


class ModelError(RuntimeError):
    """The runtime refused something.

    Attributes:
        status: The runtime's number of the failure, as octavo_runtime.h has it.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class CancelledError(ModelError):
    """``Model.cancel`` ended the run."""
