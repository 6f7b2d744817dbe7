"""How far every step is from what the machine can do: work, measured peaks, bounds."""
