"""What a kernel computes: one frozen record and one numpy reference per operation.

The references are the numerics contract. Every kernel of every target equals them bit for bit.
"""
