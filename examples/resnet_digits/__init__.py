"""A residual network of 21 layers, trained on digits of 32x32, with its data."""
