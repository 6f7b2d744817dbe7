"""What has to be closed, as a context manager."""

from types import TracebackType
from typing import Self


class Closing:
    """Closes itself when its context ends; whoever is one says how."""

    def close(self) -> None:
        """Close; the second time, do nothing."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
