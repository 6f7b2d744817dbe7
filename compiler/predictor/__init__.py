"""Latency of kernels that were not measured, learned from those that were."""
