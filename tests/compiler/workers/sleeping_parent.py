"""Starts workers that sleep until they are killed; run as a program by a test."""

import sys
from pathlib import Path

from tests.compiler.workers.evaluators import Sleeper

from octavo.compiler.workers import processes

if __name__ == "__main__":
    with processes(Sleeper(Path(sys.argv[1])), num_workers=2) as workers:
        list(workers.run([0, 1]))
