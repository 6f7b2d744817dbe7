"""One cluster for all tests: it takes seconds to start."""

import pytest


@pytest.fixture(scope="session")
def cluster():
    pytest.importorskip("ray")
    from tests.compiler.workers.local_cluster import LocalCluster

    cluster = LocalCluster()
    yield cluster
    cluster.shut_down()
