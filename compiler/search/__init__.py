"""Solvers: which format each layer gets, by tables of costs or by true evaluations.

A solver asks for configurations and is told what they measured. It never prints, never touches
a file, and is the same for the same seed, so that a search that was killed goes on from what
had been told. What is searched, how it is evaluated and where results are kept is for others.
"""
