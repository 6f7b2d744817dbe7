"""Differentiable search of a graph network: its layers and the widths of its components.

One network holds all choices; weights and choices are trained in turns by gradients (extra
``train``), then the best choice of each is trained alone, exported and measured.

Source: Zhao et al., Learned Low Precision Graph Neural Networks, arXiv:2009.09232 (LPGNAS),
for the idea; the formulas of the mixture and of its cost are our own.
"""
