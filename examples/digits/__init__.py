"""A convolutional network trained on scikit-learn's handwritten digits."""
