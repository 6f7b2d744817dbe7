"""Networks to measure on, and the runtimes to compare with."""
