"""From a QDQ ONNX model to a straight-line program of kernel calls."""
