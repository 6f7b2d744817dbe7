"""32-bit Arm: records and instruction variants."""
