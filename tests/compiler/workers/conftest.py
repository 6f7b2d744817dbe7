"""One cluster for all tests: it takes seconds to start."""

import signal

import pytest


@pytest.fixture(autouse=True)
def interruptible():
    """Processes that a shell starts behind its prompt ignore SIGINT; so do their children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def cluster():
    pytest.importorskip("ray")
    from tests.compiler.workers.local_cluster import LocalCluster

    cluster = LocalCluster()
    yield cluster
    cluster.shut_down()
