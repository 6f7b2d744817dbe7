"""The ways of choosing the integers of weights, by name."""

NEAREST = "nearest"
MOMENT_METHODS = ("adaround", "second_order")  # they see samples through their moments
ADAQUANT = "adaquant"  # sees columns of samples: it changes what layers read
RETUNED = "retuned"  # nearest integers; scales and biases make up for them
ROUNDINGS = (NEAREST, RETUNED, *MOMENT_METHODS, ADAQUANT)
SEQUENTIAL, PARALLEL = ROUNDING_MODES = ("sequential", "parallel")
