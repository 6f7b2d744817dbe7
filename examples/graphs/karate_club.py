"""Zachary's karate club: 34 members, 78 friendships, and which club each joined at the split.

Source: W. W. Zachary, An Information Flow Model for Conflict and Fission in Small Groups,
Journal of Anthropological Research 33 (4), 1977, pages 452-473: figure 3 (edges, here counted
from 0) and table 1 (club after the split).
"""

import numpy as np

from examples.graphs.graph import Graph, both_directions

NUM_MEMBERS = 34
# Each member's friends with a higher number.
FRIENDS = {
    0: (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 17, 19, 21, 31),
    1: (2, 3, 7, 13, 17, 19, 21, 30),
    2: (3, 7, 8, 9, 13, 27, 28, 32),
    3: (7, 12, 13),
    4: (6, 10),
    5: (6, 10, 16),
    6: (16,),
    8: (30, 32, 33),
    9: (33,),
    13: (33,),
    14: (32, 33),
    15: (32, 33),
    18: (32, 33),
    19: (33,),
    20: (32, 33),
    22: (32, 33),
    23: (25, 27, 29, 32, 33),
    24: (25, 27, 31),
    25: (31,),
    26: (29, 33),
    27: (33,),
    28: (31, 33),
    29: (32, 33),
    30: (32, 33),
    31: (32, 33),
    32: (33,),
}
# The officer's club; the others stayed with the instructor, member 0.
OFFICERS_CLUB = (9, 14, 15, 18, 20, *range(22, 34))


def karate_club() -> Graph:
    """Return the club: one-hot features (34, 34), label 1 for the officer's club, else 0."""
    pairs = [(a, b) for a, friends in FRIENDS.items() for b in friends]
    labels = np.zeros(NUM_MEMBERS, np.int64)
    labels[list(OFFICERS_CLUB)] = 1
    edge_index = both_directions(np.array(pairs, np.int64).T)
    return Graph(edge_index, np.eye(NUM_MEMBERS, dtype=np.float32), labels)
