"""The kernel library: how operations are computed, once over ``octavo.targets.isa``."""
