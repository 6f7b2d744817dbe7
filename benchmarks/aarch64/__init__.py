"""Executed instructions on AArch64 against ONNX Runtime and LiteRT, all under one emulator."""
