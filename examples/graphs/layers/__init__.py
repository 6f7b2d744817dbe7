"""Layers that pass messages along edges, each as ONNX nodes and as a numpy reference.

``x`` is (N, C_in); a layer's weights are those of the PyTorch (Geometric) module of its name,
a linear weight being (C_out, C_in). Every file has, for each layer, three functions: the
shapes of its weights, the nodes, the reference.
"""
