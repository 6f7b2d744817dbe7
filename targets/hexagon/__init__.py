"""Hexagon DSPs: records and instruction variants."""
