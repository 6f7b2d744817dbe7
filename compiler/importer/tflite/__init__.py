"""TFLite import: an untrusted FlatBuffers file -> an ONNX model, unchecked like a file's."""

from octavo.compiler.importer.tflite.convert import read_tflite

__all__ = ["read_tflite"]
