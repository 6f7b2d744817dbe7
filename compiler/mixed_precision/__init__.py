"""Search which format each layer gets, by measured accuracy, measured latency and size.

Solvers of ``octavo.compiler.search`` ask for configurations; workers quantize the network so
and measure what it loses; the device measures programs. What was measured is kept in a journal
from which a search that was killed goes on.
"""
