"""When a loop is worth more than one thread.

Handing work to a waiting thread and hearing back takes about a microsecond; more when it
sleeps.
"""

PARALLEL_MACS = 1 << 20  # two microseconds or more on every target
PARALLEL_ELEMENTS = 1 << 15  # the same for operations that take a few instructions an element
