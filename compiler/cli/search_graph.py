"""``octavo search-graph``: a graph network, its layers and widths, found by gradients."""

from pathlib import Path

import click

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.options import (
    NEW_PATH,
    READABLE_FILE,
    force_option,
    output_options,
    seed_option,
    target_option,
    threads_option,
)
from octavo.compiler.cli.progress import progress_bar
from octavo.compiler.cli.search_options import chosen_device, device_or_none


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in _names(text))
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no list of numbers", param_hint=option
        ) from None


def _integers(text: str, option: str) -> tuple[int, ...]:
    numbers = _numbers(text, option)
    if any(not number.is_integer() for number in numbers):
        raise click.BadParameter(f"{text!r} is no list of whole numbers", param_hint=option)
    return tuple(map(int, numbers))


@click.command("search-graph")
@click.argument("graph", type=READABLE_FILE)
@target_option
@click.option(
    "-o", "--output", type=NEW_PATH, required=True, metavar="DIR",
    help="The folder to create: networks, formats, artifacts, what was measured.",
)  # fmt: skip
@click.option(
    "--layers",
    default="gcn,gat,sage_mean,sage_max,gin,sir_gcn",
    show_default=True,
    metavar="LIST",
    help="Kinds of layers to choose from; gatv2 is one more.",
)
@click.option(
    "--activations",
    default="relu,leaky_relu,elu,tanh",
    show_default=True,
    metavar="LIST",
    help="Activations to choose from, behind all layers but the last.",
)
@click.option("--no-shortcuts", is_flag=True, help="No linear layers past message passing.")
@click.option(
    "--num-layers", type=click.IntRange(1, 16), default=2, show_default=True, metavar="N",
    help="Layers of the network.",
)  # fmt: skip
@click.option(
    "--hidden", type=click.IntRange(1, 4096), default=16, show_default=True, metavar="N",
    help="Channels between layers, a multiple of the heads.",
)  # fmt: skip
@click.option(
    "--heads", type=click.IntRange(1, 64), default=4, show_default=True, metavar="N",
    help="Heads of attention in all layers but the last.",
)  # fmt: skip
@click.option(
    "--weight-bits", default="8,4,2", show_default=True, metavar="LIST",
    help="Widths of weights and coefficients to choose from: 2, 3, 4, 8, 16.",
)  # fmt: skip
@click.option(
    "--activation-bits", default="8,4,2", show_default=True, metavar="LIST",
    help="Widths of features, messages and sums to choose from: 2, 3, 4, 8, 16.",
)  # fmt: skip
@click.option(
    "--size-weights", default="0,0.1,0.3,1", show_default=True, metavar="LIST",
    help="How much the size counts against the loss: one search for each.",
)  # fmt: skip
@click.option(
    "--buffer-share", type=click.FloatRange(min=0), default=1.0, show_default=True,
    metavar="X", help="How much a byte of live buffers counts, of a byte of weights.",
)  # fmt: skip
@click.option(
    "--steps", type=click.IntRange(1), default=300, show_default=True, metavar="N",
    help="Steps of each search.",
)  # fmt: skip
@click.option(
    "--tuning-steps", type=click.IntRange(0), default=150, show_default=True, metavar="N",
    help="Steps of training what was chosen.",
)  # fmt: skip
@click.option(
    "--no-self-loops", is_flag=True, help="Take the edges as they are, without self loops."
)
@click.option(
    "--device", callback=device_or_none, metavar="DEVICE",
    help="Where latency is measured: local (the default where this machine runs the target),"
    " ssh://[USER@]HOST[:PORT], adb[:SERIAL]; qemu, which counts instructions; or none.",
)  # fmt: skip
@threads_option
@seed_option()
@force_option
@output_options
@click.pass_obj
def search_graph_command(
    console: Console,
    graph: Path,
    target: str,
    output: Path,
    layers: str,
    activations: str,
    no_shortcuts: bool,
    num_layers: int,
    hidden: int,
    heads: int,
    weight_bits: str,
    activation_bits: str,
    size_weights: str,
    buffer_share: float,
    steps: int,
    tuning_steps: int,
    no_self_loops: bool,
    device: str | None,
    num_threads: int,
    seed: int,
    force: bool,
) -> None:
    """Search a network for the nodes of GRAPH (.npz): layers and widths, one round each.

    GRAPH holds x (nodes, features), edge_index (2, edges), label (nodes,), train_mask,
    val_mask and test_mask (nodes,), and edge_weight (edges,) where edges have weights.
    """
    from octavo.compiler.cli.search_graph_lines import search_graph_lines
    from octavo.compiler.graph_search.options import GraphSearchOptions
    from octavo.compiler.graph_search.run import search_graph
    from octavo.compiler.graph_search.space import GraphSpace
    from octavo.compiler.mixed_precision.options import MILLISECONDS, latency_unit
    from octavo.compiler.selection.options import SelectionOptions
    from octavo.targets import get_target

    space = GraphSpace(
        _names(layers),
        _names(activations),
        not no_shortcuts,
        num_layers,
        hidden,
        heads,
        _integers(weight_bits, "--weight-bits"),
        _integers(activation_bits, "--activation-bits"),
    )
    options = GraphSearchOptions(
        space,
        _numbers(size_weights, "--size-weights"),
        buffer_share,
        steps,
        tuning_steps,
        seed,
    )
    where = chosen_device(device, target)
    unit = MILLISECONDS if where is None else latency_unit(where, get_target(target))
    with progress_bar(console) as progress:
        record = search_graph(
            graph,
            target,
            output,
            options,
            device=None if where is None else SelectionOptions(where, num_threads),
            self_loops=not no_self_loops,
            force=force,
            progress=progress,
        )
    console.result(record, *search_graph_lines(record, output, unit))
