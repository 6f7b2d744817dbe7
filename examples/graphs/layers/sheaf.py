"""Neural sheaf diffusion, d = 2, with rotations as restriction maps.

Every end of an edge turns the node's two-dimensional stalk by a learned rotation; the
diffusion compares nodes after both turns. With rotations the diagonal blocks of the sheaf's
Laplacian are the degrees, so that normalizing needs no inverse of matrices. A rotation comes
from one number by Cayley's transform: (1 - a^2, 2 a) / (1 + a^2) are its cosine and sine. One
is added to the degrees, so that isolated nodes stay finite.

Source: Bodnar et al., Neural Sheaf Diffusion, arXiv:2202.04579 (orthogonal maps).
"""

import numpy as np

from examples.graphs.aggregate import Floats, linear, scatter_sum
from examples.graphs.edge_nodes import EdgeNodes
from examples.graphs.graph import Edges, in_degrees
from examples.graphs.onnx_writer import Writer

STALK = 2
Weights = dict[str, Floats]
Shapes = dict[str, tuple[int, ...]]


def sheaf_shapes(num_in: int, num_out: int, num_heads: int) -> Shapes:
    """Weights of a layer; num_in and num_out are both STALK times the channels."""
    channels = num_in // STALK
    return {
        "angle.weight": (1, 2 * num_in),
        "angle.bias": (1,),
        "left": (STALK, STALK),
        "right": (channels, channels),
    }


def sheaf(writer: Writer, edges: EdgeNodes, x: str, name: str) -> str:
    """Append x - elu(D (W_1 x W_2)), D the normalized sheaf Laplacian; x is (N, 2 C)."""
    channels = len(writer.weights[f"{name}.right"])
    shape = (STALK, channels)
    stalks = writer.reshape(x, [-1, *shape], name)
    y = writer.add("MatMul", [f"{name}.left", stalks], name)
    y = writer.add("MatMul", [y, f"{name}.right"], name)
    ends = edges.destination(x, name), edges.source(x, name)
    back = _rotation(writer, *ends, name)
    back = writer.add("Transpose", [back], name, perm=[0, 2, 1])
    forth = _rotation(writer, *ends[::-1], name)
    turn = writer.add("MatMul", [back, forth], name)
    messages = writer.add("MatMul", [turn, edges.source(y, name)], name)
    degree = edges.degree(name)
    one = writer.constant(1, np.float32)
    inverse = writer.add(
        "Pow",
        [writer.add("Add", [degree, one], name), writer.constant(-0.5, np.float32)],
        name,
    )
    both = [edges.destination(inverse, name), edges.source(inverse, name)]
    weight = writer.reshape(writer.add("Mul", both, name), [-1, 1, 1], name)
    received = edges.sum(writer.add("Mul", [weight, messages], name), shape, name)
    diagonal = writer.add("Mul", [inverse, inverse], name)
    diagonal = writer.add("Mul", [diagonal, degree], name)
    own = writer.add("Mul", [writer.reshape(diagonal, [-1, 1, 1], name), y], name)
    change = writer.add("Elu", [writer.add("Sub", [own, received], name)], name)
    return writer.reshape(
        writer.add("Sub", [stalks, change], name), [-1, STALK * channels], name
    )


def _rotation(writer: Writer, here: str, there: str, name: str) -> str:
    """Append the map (E, 2, 2) of the end ``here`` of each edge."""
    both = writer.add("Concat", [here, there], name, axis=1)
    a = writer.add("Tanh", [writer.linear(both, f"{name}.angle")], name)
    one, two = writer.constant(1, np.float32), writer.constant(2, np.float32)
    square = writer.add("Mul", [a, a], name)
    norm = writer.add("Add", [square, one], name)
    cosine = writer.add("Div", [writer.add("Sub", [one, square], name), norm], name)
    sine = writer.add("Div", [writer.add("Mul", [a, two], name), norm], name)
    minus = writer.add("Neg", [sine], name)
    rows = writer.add("Concat", [cosine, minus, sine, cosine], name, axis=1)
    return writer.reshape(rows, [-1, 2, 2], name)


def sheaf_reference(weights: Weights, edges: Edges, extra: Floats, x: Floats) -> Floats:
    """Return (N, 2 C)."""

    def rotation(here: Floats, there: Floats) -> Floats:
        angle = 2 * np.arctan(
            np.tanh(linear(np.concatenate([here, there], axis=1), weights, "angle."))
        )
        c, s = np.cos(angle)[:, 0], np.sin(angle)[:, 0]
        return np.stack([np.stack([c, -s], axis=1), np.stack([s, c], axis=1)], axis=1)

    source, destination = edges
    stalks = x.reshape(len(x), STALK, -1)
    y = weights["left"] @ stalks @ weights["right"]
    back = rotation(x[destination], x[source]).transpose(0, 2, 1)
    turn = back @ rotation(x[source], x[destination])
    degree = in_degrees(edges, len(x)).astype(np.float32)[:, None, None]
    inverse = (degree + 1) ** np.float32(-0.5)
    messages = inverse[destination] * inverse[source] * (turn @ y[source])
    change = inverse**2 * degree * y - scatter_sum(messages, edges, len(x))
    return (stalks - np.where(change > 0, change, np.expm1(change))).reshape(len(x), -1)
