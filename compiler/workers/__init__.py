"""Workers: functions over items, in this process, in processes of this machine, on a cluster.

What is computed does not depend on who computes it: items know nothing of each other, and
outcomes carry the index of their item.
"""

from octavo.compiler.workers.base import Make, Outcome, Workers
from octavo.compiler.workers.cluster import on_cluster
from octavo.compiler.workers.in_process import in_process
from octavo.compiler.workers.processes import processes

__all__ = ["Make", "Outcome", "Workers", "in_process", "on_cluster", "processes"]
