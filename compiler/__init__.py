"""Drives everything: import, quantization, lowering, artifacts, devices, reports, the command."""
