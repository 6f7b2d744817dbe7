"""Standard network architectures as ONNX, with statistics fitted to real inputs."""
