"""What runs on the nodes of a cluster: one item, in a process that stays for the next one.

The evaluator is in a child of the cluster's process: what it holds is closed in order when the
cluster ends that one without notice, and what kills it is told apart from what kills a node.
"""

import pickle
from collections.abc import Callable
from typing import Any

from octavo import __version__
from octavo.compiler.workers.child import picklable
from octavo.compiler.workers.processes import Pickled, Processes
from octavo.errors import WorkerError

# Of the latest work that this process took part in, by its key.
_workers: dict[str, Processes[Any, Any]] = {}


def work(key: str, version: str, fetch: Callable[[], bytes], item: bytes) -> bytes:
    """Work on an item.

    Args:
        key: Of all that has this maker of evaluators.
        version: Octavo's, where the item comes from: another one may evaluate otherwise.
        fetch: Gives the pickled maker; called once per process.
        item: Pickled.

    Returns:
        A pickled ``Outcome``; or an exception, if there can be none.
    """
    if version != __version__:
        error = f"a node of the cluster has octavo {__version__}, this machine has {version}"
        return pickle.dumps(WorkerError(error))
    if key not in _workers:
        make = fetch()
        while _workers:
            _workers.popitem()[1].close()
        _workers[key] = Processes(Pickled(make), num_workers=1)
    try:
        [(_, outcome)] = _workers[key].run([Pickled(item)])
    except Exception as error:
        return pickle.dumps(picklable(error))
    return pickle.dumps(outcome)
