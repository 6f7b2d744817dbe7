"""Workers on the nodes of a Ray cluster."""

import importlib.util
import pickle
import re
import socket
from collections.abc import Iterator, Sequence
from typing import Any, Generic

from octavo.compiler.closing import Closing
from octavo.compiler.workers.base import Make, Outcome, R, T
from octavo.compiler.workers.child import Child, stop
from octavo.compiler.workers.cluster_driver import DONE, LOCAL, drive
from octavo.errors import AddressError, WorkerError

AUTO = "auto"  # the cluster that this machine is a node of
FORMS = f"{LOCAL}, {AUTO}, ray://HOST:PORT, HOST:PORT"
CONNECT_TIMEOUT_S = 5.0  # Ray itself tries for half a minute and more


class Cluster(Closing, Generic[T, R]):
    """Works on items on the nodes of a Ray cluster; see ``Workers``.

    Connects when the first items come.
    """

    def __init__(self, make: Make[T, R], address: str) -> None:
        self._address = checked_address(address)
        if importlib.util.find_spec("ray") is None:
            raise WorkerError("a cluster needs Ray: pip install 'octavo[cluster]'")
        self._make = pickle.dumps(make)
        self._driver: Child | None = None

    def run(
        self, items: Sequence[T], *, resource: str | None = None
    ) -> Iterator[tuple[int, Outcome[R]]]:
        """See ``Workers.run``; of a resource, one item at a time for each that a node has."""
        driver = self._connected()
        is_done = False
        try:
            driver.pipe.send(([pickle.dumps(item) for item in items], resource))
            while (message := self._receive(driver)) != DONE:
                index, outcome = message
                yield index, pickle.loads(outcome)
            is_done = True
        finally:
            if not is_done:  # the tasks that are left end with the connection
                self._leave(is_busy=True)

    def close(self) -> None:
        """Leave the cluster; end it, if it is a local one."""
        self._leave(is_busy=False)

    def _connected(self) -> Child:
        if self._driver is None:
            _require_listener(self._address)
            self._driver = Child(drive, self._make, self._address, is_silent=True)
            try:
                self._receive(self._driver)
            except BaseException:
                self._leave(is_busy=True)
                raise
        return self._driver

    def _receive(self, driver: Child) -> Any:
        try:
            message = driver.pipe.recv()
        except (EOFError, OSError):
            raise WorkerError(f"cluster {self._address}: the connection was lost") from None
        if isinstance(message, Exception):
            raise message
        return message

    def _leave(self, *, is_busy: bool) -> None:
        driver, self._driver = self._driver, None
        if driver is not None:
            stop([driver], are_busy=is_busy)


def on_cluster(make: Make[T, R], address: str) -> Cluster[T, R]:
    """Work on a cluster.

    Args:
        make: Makes the evaluator, once in each process of a node; of a module that can be
            imported there.
        address: See ``checked_address``.

    Raises:
        AddressError: The address has none of the known forms.
        WorkerError: Ray is not installed.
    """
    return Cluster(make, address)


def checked_address(text: str) -> str:
    """An address of a cluster, if it has a known form; nothing is asked of the cluster.

    Args:
        text: ``auto``, the cluster that this machine is a node of; ``local``, one that is
            started for the work; ``ray://HOST:PORT``, from anywhere; or ``HOST:PORT``, the
            head node's, from one of its nodes.

    Raises:
        AddressError: It has none.
    """
    if text in (LOCAL, AUTO) or _host_and_port(text) is not None:
        return text
    raise AddressError(f"cluster {text!r} is none of: {FORMS}")


def _host_and_port(address: str) -> tuple[str, int] | None:
    found = re.fullmatch(r"(?:ray://)?(\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5})", address)
    if found is None or not 0 < int(found[2]) < 1 << 16:
        return None
    return found[1].strip("[]"), int(found[2])


def _require_listener(address: str) -> None:
    """Fail at once where nobody listens."""
    place = _host_and_port(address)
    if place is None:
        return
    try:
        socket.create_connection(place, CONNECT_TIMEOUT_S).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise WorkerError(f"cluster {address} cannot be reached: {reason}") from error
