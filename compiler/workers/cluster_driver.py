"""The process that talks to a Ray cluster: gives items to nodes, and again when nodes die.

It is a process of its own, without output: Ray writes to the terminal when workers die, and
ends the process that is connected to a head node which dies.
"""

import os
import pickle
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from uuid import uuid4

from octavo import __version__
from octavo.compiler.workers.base import MAX_DEATHS, died
from octavo.compiler.workers.child import Pipe, picklable
from octavo.compiler.workers.cluster_task import work
from octavo.errors import WorkerError

LOCAL = "local"  # a cluster of this machine, for as long as the work takes
DONE = "done"
CLIENT = "ray://"
# The head of a cluster forks a server for each client, from a process with threads: now and
# then that one is dead at once, which the head sees itself or finds out as an error of psutil.
CLIENT_ATTEMPTS = 3
SERVER_FAILED = "Initialization failure from server"
TRACEBACK = "Traceback (most recent call last):"  # in the middle of Ray's messages
CHECK_S = 1.0  # between looks at what the cluster has
OBJECT_STORE_BYTES = 200 << 20  # of a local cluster, beside the maker
TOKEN_FILE = Path(".ray", "auth_token")  # in the home folder; Ray's place for it

Answer: TypeAlias = tuple[int, bytes]  # index of an item, pickled Outcome
Ref: TypeAlias = Any  # ray.ObjectRef; Ray is imported in functions alone


def drive(pipe: Pipe, make: bytes, address: str) -> None:
    """Send answers for each list of items that comes, then ``DONE``; or an error.

    Args:
        pipe: Gives pairs of pickled items and the name of a resource, or None.
        make: Pickled maker of evaluators.
        address: Of the cluster.
    """
    try:
        tasks = ClusterTasks(connect(address, len(make)), make)
        pipe.send(DONE)
        while True:
            try:
                items, resource = pipe.recv()
            except (EOFError, OSError):
                return
            for answer in tasks.run(items, resource):
                pipe.send(answer)
            pipe.send(DONE)
    except Exception as error:
        pipe.send(picklable(error))
    finally:
        _disconnect()


def connect(address: str, num_bytes: int = 0) -> Any:
    """Connect this process to a cluster.

    Args:
        address: ``local``, or what ``ray.init`` takes.
        num_bytes: That will be put into the cluster's store.

    Returns:
        The module ``ray``.

    Raises:
        WorkerError: There is no cluster, one of other versions, or one that refuses.
    """
    # Starting a cluster would ask its user on a terminal, and tell its makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    own: dict[str, Any] = {}
    if address == LOCAL:
        own = {
            "num_cpus": len(os.sched_getaffinity(0)),
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES + num_bytes,
        }
    if address.startswith(CLIENT):
        _send_token()
    try:
        import ray

        for attempts_left in reversed(range(CLIENT_ATTEMPTS)):
            try:
                ray.init(address=address, logging_level="ERROR", log_to_driver=False, **own)
                break
            except ConnectionError as error:
                if SERVER_FAILED not in str(error) or not attempts_left:
                    raise
    except Exception as error:  # of many classes: ConnectionError, RuntimeError, ImportError
        hint = ""
        if address.startswith(CLIENT) and isinstance(error, ConnectionError):
            hint = f"; if it asks for a token, set RAY_AUTH_TOKEN or make ~/{TOKEN_FILE}"
        raise WorkerError(f"cluster {address}: {_one_line(error)}{hint}") from error
    return ray


def _send_token() -> None:
    """Show the token of a cluster where there is one: Ray's client does so only when told."""
    variables = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    if any(map(os.environ.get, variables)) or (Path.home() / TOKEN_FILE).is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


class ClusterTasks:
    """Items as Ray tasks."""

    def __init__(self, ray: Any, make: bytes) -> None:
        self._ray = ray
        self._key = uuid4().hex
        self._fetch = _Fetch(ray.put(make))
        # A death is counted here, whether Ray takes it for the node's, the process's or lack
        # of memory: it repeats some of those forever.
        self._task = ray.remote(num_cpus=1, max_retries=0)(work)

    def run(self, items: Sequence[bytes], resource: str | None) -> Iterator[Answer]:
        """Answers as they come; every item has one.

        Raises:
            WorkerError: No node can work on items, from the start or any more.
            Exception: What the maker of evaluators raised.
        """
        ray = self._ray
        needed = {} if resource is None else {resource: 1}
        self._check(resource)
        task = self._task.options(resources=needed)

        def submit(index: int) -> Ref:
            return task.remote(self._key, __version__, self._fetch, items[index])

        deaths: Counter[int] = Counter()
        pending = {submit(index): index for index in range(len(items))}
        try:
            while pending:
                done, _ = ray.wait(list(pending), timeout=CHECK_S)
                if not done:
                    self._check(resource)
                for ref in done:
                    index = pending.pop(ref)
                    answer = self._answer(ref)
                    if isinstance(answer, bytes):
                        yield index, answer
                        continue
                    deaths[index] += 1
                    if deaths[index] < MAX_DEATHS:
                        pending[submit(index)] = index
                    else:
                        yield index, pickle.dumps(died(MAX_DEATHS, f"with {answer}"))
        finally:
            for ref in pending:
                ray.cancel(ref, force=True)

    def _answer(self, ref: Ref) -> bytes | str:
        """A pickled outcome; or the name of the error with which its process or node died."""
        from ray.exceptions import RayError, RayTaskError

        try:
            answer: bytes = self._ray.get(ref)
        except RayTaskError as error:  # the function could not even be imported
            raise WorkerError(
                f"a node of the cluster cannot work (it needs octavo {__version__}):"
                f" {_one_line(error.cause or error)}"
            ) from error
        except RayError as error:
            return type(error).__name__
        message = pickle.loads(answer)
        if isinstance(message, Exception):
            raise message
        return answer

    def _check(self, resource: str | None) -> None:
        """Refuse to wait for what will not come."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        working = [node for node in nodes if node.get("CPU", 0) >= 1]
        if not working:
            raise WorkerError("no node of the cluster has a CPU to work with")
        if resource is None:
            return
        offered = sorted({name for node in working for name in node if _is_own(name)})
        if resource not in offered:
            raise WorkerError(
                f"no node of the cluster has the resource {resource!r} and a CPU;"
                f" they have: {', '.join(offered) or 'no resources'}"
            )


class _Fetch:
    """Gets an object from the cluster's store; the object travels only when it is called."""

    def __init__(self, ref: Ref) -> None:
        self._refs: Sequence[Ref] = [ref]

    def __call__(self) -> bytes:
        import ray

        fetched: bytes = ray.get(self._refs[0])
        return fetched


def _is_own(name: str) -> bool:
    """Whether a resource was named by who started the node."""
    rays = ("CPU", "GPU", "memory", "object_store_memory")
    return name not in rays and not name.startswith(("node:", "accelerator_type:"))


def _one_line(error: BaseException, most: int = 300) -> str:
    """What an error says; of a traceback in it, the last line: the cause."""
    before, found, lines = str(error).strip().partition(TRACEBACK)
    if found:
        before += lines.splitlines()[-1] if lines else ""
    text = " ".join(before.split()) or type(error).__name__
    return text if len(text) <= most else f"{text[:most]}..."


def _disconnect() -> None:
    import ray

    ray.shutdown()
