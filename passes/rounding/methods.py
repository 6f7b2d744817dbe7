"""The ways of choosing the integers of weights, by name."""

NEAREST = "nearest"
MOMENT_METHODS = ("adaround", "second_order")  # they see samples through their moments
ROUNDINGS = (NEAREST, *MOMENT_METHODS)
ROUNDING_MODES = ("sequential", "parallel")
