"""AArch64: records and instruction variants."""
