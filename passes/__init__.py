"""Graph passes, ONNX to ONNX. They know nothing of TVM, targets or files."""
