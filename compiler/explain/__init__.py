"""Why a layer takes its time, and whether float would be faster: answers from measurements.

The model of an artifact is compiled several times more: in float, and with a part of its
layers in float among integers, each with the conversions that it would need there. All of them
run in turns on the device. What costs a layer its time is then told apart with the machine's
peaks and with what the kernels know of themselves.
"""
