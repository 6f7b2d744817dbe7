"""Choose the integers of a layer's weights by what the layer computes on samples."""
