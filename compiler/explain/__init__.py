"""Why a layer takes its time, and whether float would be faster: answers from measurements.

The model of an artifact is compiled twice more, in float: once as one float network, and once
with the rounding between its layers, so that every conversion is a step of its own. The three
programs run in turns on the device. What costs a layer its time is then told apart with the
machine's peaks and with what the kernels know of themselves.
"""
