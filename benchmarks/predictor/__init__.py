"""How well latencies are predicted: networks that cover the layers in use, and the verdict."""
