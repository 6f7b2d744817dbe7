"""Export layers with message passing, for the tests beside it: tiny files of real exporters.

``pip install torch==2.13.0 torch_geometric onnxscript`` and ``python make_exports.py``.
"""

import logging
import warnings
from pathlib import Path

import onnx
import torch
import torch_geometric.nn as g
from torch import nn

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
torch.manual_seed(0)
N, E, F, H = 7, 12, 3, 4


class Sir(g.MessagePassing):
    def __init__(self):
        super().__init__(aggr="add")
        self.q, self.k, self.r = nn.Linear(F, H), nn.Linear(F, H, bias=False), nn.Linear(H, H)

    def forward(self, x, edge_index):
        return self.r(self.propagate(edge_index, q=self.q(x), k=self.k(x)))

    def message(self, q_i, k_j):
        return torch.relu(q_i + k_j)


class Sheaf(nn.Module):
    """Diffusion of 2-vectors: X - sum over edges of F'(F x_v - G x_u)."""

    def __init__(self):
        super().__init__()
        self.maps, self.w = nn.Linear(2 * 2 * H, 4), nn.Linear(H, H, bias=False)
        self.lin = nn.Linear(F, 2 * H)

    def forward(self, x, edge_index):
        src, dst = edge_index[0], edge_index[1]
        x = self.lin(x)
        m = torch.tanh(self.maps(torch.cat([x[dst], x[src]], 1))).view(-1, 2, 2)
        h = x.view(-1, 2, H)
        y = self.w(h)
        out = torch.zeros_like(y).index_add(0, dst, m @ y[src])
        return h - torch.relu(out)


class Gru(nn.Module):
    """One step of a GRU whose products are graph convolutions, over a batch of sequences."""

    def __init__(self):
        super().__init__()
        self.zr, self.c = nn.Linear(F + H, 2 * H), nn.Linear(F + H, H)

    def conv(self, x, edge_index, w):
        m = x[:, edge_index[0]] * w[:, None]
        return torch.zeros_like(x).index_add(1, edge_index[1], m)

    def forward(self, x, h, edge_index, w):
        z, r = torch.sigmoid(self.zr(self.conv(torch.cat([x, h], -1), edge_index, w))).chunk(
            2, -1
        )
        c = torch.tanh(self.c(self.conv(torch.cat([x, r * h], -1), edge_index, w)))
        return z * h + (1 - z) * c


class Pooled(nn.Module):
    def __init__(self, pool):
        super().__init__()
        self.conv, self.pool, self.out = g.GraphConv(F, H), pool, nn.Linear(H, 2)

    def forward(self, x, edge_index, batch):
        return self.out(self.pool(self.conv(x, edge_index).relu(), batch, 2))


class Two(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.a, self.b = a, b

    def forward(self, x, *e):
        return self.b(self.a(x, *e).relu(), *e)


x = torch.randn(N, F)
ei = torch.tensor([[0, 1, 2, 3, 4, 5, 0, 2, 2, 5, 1, 1], [1, 2, 3, 4, 5, 0, 2, 0, 2, 5, 3, 3]])
ew = torch.rand(E)
ea = torch.randn(E, 2)
batch = torch.tensor([0, 0, 0, 1, 1, 1, 1])


class Fixed(nn.Module):
    """A layer over a graph that is part of the model."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.register_buffer("ei", ei)

    def forward(self, x):
        return self.layer(x, self.ei)


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(F, H)
        a = torch.zeros(N, N)
        a[ei[1], ei[0]] = 0.5
        self.register_buffer("a", a)

    def forward(self, x):
        return self.a @ self.lin(x)


CASES = {
    "gcn": (
        Two(g.GCNConv(F, H, normalize=False), g.GCNConv(H, 2, normalize=False)),
        (x, ei, ew),
        ["x", "edge_index", "edge_weight"],
    ),
    "gcn_fixed": (Fixed(g.GCNConv(F, H)), (x,), ["x"]),
    "gcn_norm": (g.GCNConv(F, H, add_self_loops=False), (x, ei), ["x", "edge_index"]),
    "sage_mean": (Two(g.SAGEConv(F, H), g.SAGEConv(H, 2)), (x, ei), ["x", "edge_index"]),
    "sage_mean_fixed": (Fixed(g.SAGEConv(F, H)), (x,), ["x"]),
    "sage_max": (g.SAGEConv(F, H, aggr="max"), (x, ei), ["x", "edge_index"]),
    "sage_min": (g.SAGEConv(F, H, aggr="min"), (x, ei), ["x", "edge_index"]),
    "mul": (g.SimpleConv(aggr="mul"), (x, ei), ["x", "edge_index"]),
    "gin": (
        g.GINConv(nn.Sequential(nn.Linear(F, H), nn.ReLU(), nn.Linear(H, H))),
        (x, ei),
        ["x", "edge_index"],
    ),
    "gat": (g.GATConv(F, H, heads=2, add_self_loops=False), (x, ei), ["x", "edge_index"]),
    "gatv2": (g.GATv2Conv(F, H, heads=2, add_self_loops=False), (x, ei), ["x", "edge_index"]),
    "sir": (Sir(), (x, ei), ["x", "edge_index"]),
    "nnconv": (
        g.NNConv(F, H, nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, F * H))),
        (x, ei, ea),
        ["x", "edge_index", "edge_attr"],
    ),
    "cheb_fixed": (Fixed(g.ChebConv(F, H, 3)), (x,), ["x"]),
    "sheaf": (Sheaf(), (x, ei), ["x", "edge_index"]),
    "gru": (
        Gru(),
        (torch.randn(2, N, F), torch.randn(2, N, H), ei, ew),
        ["x", "h", "edge_index", "edge_weight"],
    ),
    "pool_add": (Pooled(g.global_add_pool), (x, ei, batch), ["x", "edge_index", "batch"]),
    "pool_mean": (Pooled(g.global_mean_pool), (x, ei, batch), ["x", "edge_index", "batch"]),
    "pool_max": (Pooled(g.global_max_pool), (x, ei, batch), ["x", "edge_index", "batch"]),
    "sage_max_fixed": (Fixed(g.SAGEConv(F, H, aggr="max")), (x,), ["x"]),
    "gat_fixed": (Fixed(g.GATConv(F, H, heads=2)), (x,), ["x"]),
    "dense": (Dense(), (x,), ["x"]),
}
# The older exporter writes some of them in another way.
SCRIPTED = ("gat", "sage_max", "sage_mean", "pool_mean")
# With sizes known at run time, in the folder any_size: edges, and nodes but for some.
ANY_SIZE = (
    "gcn",
    "gcn_norm",
    "gatv2",
    "gru",
    "mul",
    "nnconv",
    "pool_max",
    "sage_mean",
    "sage_min",
    "sheaf",
    "sir",
)
ANY_SIZE_SCRIPTED = ("gat", "pool_mean", "sage_max")
FIXED_NODES = ("gatv2", "gru")
NODE_INPUTS, EDGE_INPUTS = ("x", "batch"), ("edge_weight", "edge_attr")


def main() -> None:
    """Write every file beside this one."""
    folder = Path(__file__).parent
    for name, (net, args, names) in CASES.items():
        options = {"input_names": names, "output_names": ["y"], "opset_version": 18}
        path = folder / f"{name}.onnx"
        torch.onnx.export(net.eval(), args, path, dynamo=True, external_data=False, **options)
        strip(path)
        if name in SCRIPTED:
            path = folder / f"{name}_script.onnx"
            torch.onnx.export(net, args, path, dynamo=False, **options)
            strip(path)
        export_any_size(name, net, args, options, folder / "any_size")


def export_any_size(name, net, args, options, folder) -> None:
    """Write a model of any number of edges and nodes, where it is wanted."""
    nodes = {} if name in FIXED_NODES else {0: "nodes"}
    axes = dict.fromkeys(NODE_INPUTS, nodes) | {key: {0: "edges"} for key in EDGE_INPUTS}
    axes["edge_index"] = {1: "edges"}
    if name in ANY_SIZE:
        dims = {key: torch.export.Dim(key, min=2, max=100_000) for key in ("nodes", "edges")}
        shapes = tuple(
            {axis: dims[text] for axis, text in axes.get(key, {}).items()}
            for key in options["input_names"]
        )
        if isinstance(net, Two):  # its forward takes the edges by *
            shapes = (shapes[0], shapes[1:])
        path = folder / f"{name}.onnx"
        torch.onnx.export(
            net, args, path, dynamo=True, external_data=False, dynamic_shapes=shapes, **options
        )
        strip(path)
    if name in ANY_SIZE_SCRIPTED:
        path = folder / f"{name}_script.onnx"
        given = {key: axes[key] for key in options["input_names"]}
        torch.onnx.export(net, args, path, dynamo=False, dynamic_axes=given, **options)
        strip(path)


def strip(path: Path) -> None:
    """Take out what says where the model was made: it is most of the file."""
    model = onnx.load(path)
    model.ClearField("metadata_props")
    model.graph.ClearField("metadata_props")
    model.graph.ClearField("value_info")
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    onnx.save(model, path)


if __name__ == "__main__":
    main()
