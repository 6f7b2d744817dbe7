"""Counted work of emulated programs: executed instructions and memory accesses, step by step.

An emulator says nothing about time. What a device would execute it executes too, so counts
of instructions compare kernels of one architecture where no device is at hand.
"""
