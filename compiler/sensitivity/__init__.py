"""What a network loses when one layer computes with fewer bits: several measures of it.

Every measure answers ``score(layer, format)`` and is a file of its own; ``measures`` lists
them.
"""
