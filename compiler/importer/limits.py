"""How large a model may be: caps that are checked before anything is allocated for it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Caps on an untrusted model. Every one of them is an inclusive maximum.

    Attributes:
        file_bytes: Size of the model file; protobuf itself ends at 2 GiB.
        external_bytes: Sum of all tensors read from external data files.
        nodes: Nodes in the file with subgraphs and functions, and again after expansion.
        initializers: Initializers in the file, subgraphs included.
        rank: Dimensions of one tensor.
        elements: Product of the dimensions of one tensor.
        depth: Nesting of subgraphs in attributes, and of calls to model-local functions.
        string_length: Characters of one name, operator, domain or string attribute.
        folded_bytes: Sum of the constants that folding may add; also the size of one that is
            left to the program.
        memory_bytes: Memory that an import in a process of its own may take, beside what
            grows with the files that it reads.
        cpu_s: Seconds of a core that such an import may take, beside what grows with them.
    """

    file_bytes: int = 2**31
    external_bytes: int = 2**33
    nodes: int = 100_000
    initializers: int = 100_000
    rank: int = 8
    elements: int = 2**31 - 1
    depth: int = 16
    string_length: int = 4096
    folded_bytes: int = 2**28
    memory_bytes: int = 2**31
    cpu_s: float = 120
