"""RISC-V: records and instruction variants."""
