"""Observers: see one tensor of many samples, remember little, answer with a range."""
