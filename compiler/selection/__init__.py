"""INT8 operator selection: how each layer is computed, from measurements on the device.

Candidates are ways to compute layers: the integer kernels of the library with their schedules,
and float. Programs in which all layers take one candidate are measured side by side, kernel by
kernel. An integer program chooses for every layer, with the conversions between integers and
float that a choice needs. What it chooses is built and measured again; what that teaches it
goes into the next choice, until nothing changes.
"""
