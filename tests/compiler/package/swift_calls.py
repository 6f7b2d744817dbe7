"""What Swift sources say of C, read with parsers: no Swift compiler is at hand."""

from dataclasses import dataclass

import tree_sitter
import tree_sitter_swift


@dataclass(frozen=True)
class Call:
    """A call of a function whose name begins with ``octavo_``."""

    name: str
    num_arguments: int


def parse(source):
    """The root of a file's syntax tree."""
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_swift.language()))
    return parser.parse(source).root_node


def nodes(root):
    """A node and everything below it."""
    yield root
    for child in root.children:
        yield from nodes(child)


def c_calls(root):
    """Calls of functions and initializers of C."""
    for node in nodes(root):
        if node.type == "call_expression":
            callee, suffix = node.children[0], node.children[-1]
            name = callee.text.decode()
            if callee.type == "simple_identifier" and name.startswith("octavo_"):
                found = [n for n in nodes(suffix) if n.type == "value_arguments"]
                arguments = [c for c in found[0].children if c.type == "value_argument"]
                yield Call(name, len(arguments))


def c_names(root):
    """Identifiers that are C's by their form: octavo_name, OCTAVO_NAME."""
    for node in nodes(root):
        if node.type in ("simple_identifier", "type_identifier"):
            name = node.text.decode()
            if name.startswith(("octavo_", "OCTAVO_")):
                yield name


def members(root):
    """Names behind a point: tensor.num_bytes gives num_bytes."""
    for node in nodes(root):
        if node.type == "navigation_suffix":
            yield node.text.decode().removeprefix(".")
