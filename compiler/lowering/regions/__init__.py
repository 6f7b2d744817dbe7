"""Which ONNX nodes become which kernel: one family of operators, one file."""
