"""Runs samples through the float and the quantized network: ranges, errors, corrections."""
