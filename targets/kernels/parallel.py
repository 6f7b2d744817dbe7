"""When a loop is worth more than one thread.

Handing work to a waiting thread and hearing back takes half a microsecond. Waking one that
sleeps takes the caller some 10, which is a question of whole programs: those that are short
are made without parallel loops.
"""

PARALLEL_MACS = 1 << 20  # two microseconds or more on every target
PARALLEL_ELEMENTS = 1 << 15  # the same for operations that take a few instructions an element
