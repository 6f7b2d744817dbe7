"""What has to be computed once regions say what they read."""

import onnx
import onnx_ir as ir

from octavo.compiler.lowering.context import Region
from octavo.compiler.lowering.needed import needed_nodes

GRAPH = """<ir_version: 10, opset_import: ["": 20]>
g (float[4] x, int64[4] e) => (float[4] y) {
    [shaped] s = Identity(e)
    [taken] t = Gather(x, s)
    [kept] k = Neg(x)
    [first] f = Abs(t)
    [last] y = Add(f, k)
}"""


def graph_and_nodes():
    graph = ir.from_proto(onnx.parser.parse_model(GRAPH)).graph
    return graph, {node.name: node for node in graph}


def names(graph, *regions):
    needed = needed_nodes(graph, {region.nodes[-1]: region for region in regions})
    return [node.name for node in graph if node in needed]


def region(nodes, reads=None):
    return Region(tuple(nodes), lambda ctx: None, reads)


def test_without_regions_everything_that_an_output_depends_on():
    graph, _ = graph_and_nodes()
    assert names(graph) == ["shaped", "taken", "kept", "first", "last"]


def test_a_region_reads_what_its_nodes_read():
    graph, nodes = graph_and_nodes()
    found = names(graph, region([nodes["taken"], nodes["first"]]))
    assert found == ["shaped", "taken", "kept", "first", "last"]


def test_what_a_region_does_not_read_is_left_out():
    graph, nodes = graph_and_nodes()
    inside = [nodes["taken"], nodes["first"], nodes["last"]]
    x, e = graph.inputs
    assert names(graph, region(inside, (x, e))) == ["taken", "first", "last"]
    kept = nodes["kept"].outputs[0]
    assert names(graph, region(inside, (e, kept))) == ["taken", "kept", "first", "last"]
