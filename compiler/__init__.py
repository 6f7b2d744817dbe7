"""Drives everything: import, quantization, lowering, artifacts, reports, the command."""
