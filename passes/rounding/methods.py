"""The ways of choosing the integers of weights, by name."""

NEAREST = "nearest"
MOMENT_METHODS = ("adaround", "second_order")  # they see samples through their moments
ADAQUANT = "adaquant"  # sees columns of samples: it changes what layers read
ROUNDINGS = (NEAREST, *MOMENT_METHODS, ADAQUANT)
ROUNDING_MODES = ("sequential", "parallel")
