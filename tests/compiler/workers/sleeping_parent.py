"""A script whose workers sleep until they are killed; nothing guards it against an import."""

import sys
from pathlib import Path

from tests.compiler.workers.evaluators import Sleeper

from octavo.compiler.workers import on_cluster, processes

folder, address = Path(sys.argv[1]), sys.argv[2:]
make = Sleeper(folder)
with on_cluster(make, *address) if address else processes(make, num_workers=2) as workers:
    list(workers.run([0, 1]))
