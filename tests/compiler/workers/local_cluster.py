"""A Ray cluster whose nodes are all on this machine."""

import os
import shutil
import signal
import socket
from pathlib import Path

from tests.compiler.workers.processes_of import descendants, wait_until

ROOT = Path(__file__).resolve().parents[3]  # nodes import the evaluators of the tests
STORE_BYTES = 80 << 20
# Nodes are dead when they were silent for two seconds, not half a minute.
HEALTH = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 2,
}


class LocalCluster:
    """A head of two CPUs with a phone; other nodes come, and lose power.

    Attributes:
        address: Of the cluster, from this machine.
        client_address: Of the cluster, from anywhere.
    """

    def __init__(self):
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        # Servers for clients that are dead at once are given up after so many seconds.
        os.environ["RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S"] = "10"
        from ray.cluster_utils import Cluster

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.client_address = f"ray://127.0.0.1:{port}"
        self._cluster = Cluster()
        self._head = self.add_node(
            "head",
            num_cpus=2,
            resources={"pixel-8": 1},
            ray_client_server_port=port,
            _system_config=HEALTH,
        )
        self.address = self._cluster.address
        wait_until(lambda: _listens(port), seconds=120)

    def add_node(self, name, **options):
        """Start a node; items see its name as TEST_NODE."""
        path = (str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep))
        return self._cluster.add_node(
            object_store_memory=STORE_BYTES,
            include_dashboard=False,
            env_vars={"TEST_NODE": name, "PYTHONPATH": os.pathsep.join(path)},
            **options,
        )

    def kill(self, node):
        """End a node and its workers as if their machine lost power."""
        for pid in [raylet(node), *descendants(raylet(node))]:
            os.kill(pid, signal.SIGKILL)
        self._cluster.remove_node(node, allow_graceful=False)

    def shut_down(self):
        folder = self._head.get_session_dir_path()
        self._cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def raylet(node):
    """The process of a node that all its workers descend from."""
    from ray._private.ray_constants import PROCESS_TYPE_RAYLET

    [started] = node.all_processes[PROCESS_TYPE_RAYLET]
    return started.process.pid
