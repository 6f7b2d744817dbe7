"""ONNX to TensorFlow Lite, for the operators of the benchmark networks.

LiteRT reads no ONNX. The converters that pip offers need TensorFlow, or versions of onnx and
onnxruntime that exclude those of this project; so the float network is written here, in the
form that TensorFlow's own converter gives its graphs (channels last, fused activations, fully
connected layers, one GELU), and the vendor's quantizer does the rest.
"""
