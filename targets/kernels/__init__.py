"""The kernel library: how operations are computed, written once over ``octavo.targets.isa``."""
