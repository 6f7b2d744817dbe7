"""MiniLM-L6 sentence embeddings with the published weights, as ONNX."""
