"""A random model under construction."""

from math import prod

import numpy as np
from hypothesis import strategies as st
from onnx import helper

MAX_ELEMENTS = 4000


class Builder:
    """A model under construction; ``values`` maps names of float tensors to shapes."""

    def __init__(self, draw):
        self.draw = draw
        self.rng = np.random.default_rng(self.int(0, 2**16))
        self.nodes, self.initializers, self.inputs = [], {}, []
        self.values, self.shared = {}, {}

    def int(self, low, high):
        return self.draw(st.integers(low, high))

    def pick(self, options):
        return self.draw(st.sampled_from(list(options)))

    def constant(self, array, share=True):
        """Store an array; random weights of one shape are often the same tensor."""
        array = np.asarray(array)
        key = (array.shape, array.dtype.name)
        if share and array.dtype == np.float32 and key in self.shared and self.int(0, 1):
            return self.shared[key]
        name = f"c{len(self.initializers)}"
        self.initializers[name] = array
        self.shared[key] = name
        return name

    def weight(self, *shape):
        fan_in = max(1, prod(shape[1:]))
        return self.constant((self.rng.normal(size=shape) / fan_in**0.5).astype(np.float32))

    def add(self, op_type, inputs, *shapes, **attributes):
        """Append a node; its outputs join the values."""
        names = [f"{op_type.lower()}{len(self.nodes)}_{i}" for i in range(len(shapes))]
        node = helper.make_node(op_type, inputs, names, name=names[0], **attributes)
        self.nodes.append(node)
        self.values.update(zip(names, shapes, strict=True))
        return names[0]

    def value(self, *ranks, at_least=1):
        """A value of one of the ranks, the newest ones more often; None if there is none."""
        fitting = [
            n for n, s in self.values.items()
            if (not ranks or len(s) in ranks) and prod(s) >= at_least
        ]  # fmt: skip
        if not fitting:
            return None
        return self.pick(fitting[-3:] if self.int(0, 2) else fitting)
