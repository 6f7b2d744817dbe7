"""Backward graphs of float networks, as ordinary nodes that any ONNX runtime computes."""
