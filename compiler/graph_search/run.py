"""``octavo search-graph``: one search for each weight of the size, measured side by side."""

import importlib.util
import json
import math
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from octavo.compiler.graph_search.exported import write_network
from octavo.compiler.graph_search.graph_data import GraphData, read_graph
from octavo.compiler.graph_search.options import GraphSearchOptions
from octavo.compiler.search.front import nondominated
from octavo.compiler.search.problem import Evaluation
from octavo.compiler.selection.options import SelectionOptions
from octavo.errors import ArtifactError, RecipeError
from octavo.targets import get_target

if TYPE_CHECKING:
    from octavo.compiler.graph_search.measured import Measured
    from octavo.compiler.graph_search.training import Searched

SCHEMA = 1
RECORD, POINTS, ARTIFACT = "search-graph.json", "points", "artifact"
OBJECTIVES = ("wrong", "weight_bytes", "buffer_bytes")

Progress = Callable[[str, int, int], None]


def search_graph(
    graph: Path,
    target: str,
    output: Path,
    options: GraphSearchOptions,
    *,
    device: SelectionOptions | None = None,
    self_loops: bool = True,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Search networks for a graph, one for each of ``options.size_weights``.

    Args:
        graph: See ``read_graph``.
        target: Target name, such as "host".
        output: Folder to create.
        options: What is wanted.
        device: Where latency is measured; None: nowhere.
        self_loops: Give every node one.
        force: Replace a search that ``output`` holds.
        progress: Told of stages, steps done and in all.

    Returns:
        The content of ``search-graph.json``.

    Raises:
        RecipeError: PyTorch is not installed.
        DataError, TargetError, ArtifactError: The user's input does not allow it.
        DeviceError: The device does not answer.
    """
    get_target(target)
    data = read_graph(graph, self_loops=self_loops)
    _check_output(output, force=force)
    if importlib.util.find_spec("torch") is None:
        raise RecipeError("search-graph trains with PyTorch: pip install 'octavo[train]'")
    # Both take seconds to load: not before all else is known to be good.
    from octavo.compiler.graph_search.measured import measure_network
    from octavo.compiler.graph_search.training import search_network, single_thread

    advance = progress or (lambda stage, done, total: None)
    output.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=output.parent, prefix=".search-graph-"))
    try:
        points = []
        for number, weight in enumerate(options.size_weights):
            told = partial(advance, f"search with size weight {weight:g}")
            with single_thread():
                found = search_network(data, options, weight, told)
            folder = made / POINTS / str(number)
            arrays = {name: tensor.numpy() for name, tensor in found.weights.items()}
            formats = write_network(folder, found.architecture, arrays, data)
            advance("measure", number, len(options.size_weights))
            measured = measure_network(
                folder,
                formats,
                target=target,
                device=device,
                artifact=folder / ARTIFACT,
                seed=options.seed,
            )
            points.append(_point(number, weight, found, formats, measured))
        advance("measure", len(options.size_weights), len(options.size_weights))
        record = _record(graph, target, data, options, device, points)
        (made / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        if output.exists():
            shutil.rmtree(output)
        made.chmod(0o755)
        made.rename(output)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return record


def _check_output(output: Path, *, force: bool) -> None:
    if not output.exists():
        return
    if not (output / RECORD).is_file():
        raise ArtifactError(f"{output} holds no search; choose a folder that is not there")
    if not force:
        raise ArtifactError(f"{output} holds a search; --force replaces it")


def _point(
    number: int,
    weight: float,
    found: "Searched",
    formats: Mapping[str, Any],
    measured: Mapping[str, "Measured"],
) -> dict[str, Any]:
    return {
        "id": number,
        "size_weight": weight,
        "layers": [
            {
                "kind": block.kind,
                "activation": block.activation,
                "shortcut": block.shortcut,
                "bits": {role.value: block.bits[role] for role in block.roles},
            }
            for block in found.architecture.blocks
        ],
        "formats": {name: str(chosen) for name, chosen in formats.items()},
        "validation_accuracy": 100 * found.validation_accuracy,
        "measured": {
            name: {key: _or_none(value) for key, value in asdict(one).items()}
            for name, one in measured.items()
        },
        "model": f"{POINTS}/{number}",
        "artifact": f"{POINTS}/{number}/{ARTIFACT}",
    }


def _record(
    graph: Path,
    target: str,
    data: GraphData,
    options: GraphSearchOptions,
    device: SelectionOptions | None,
    points: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    front = {e.configuration["id"] for e in _front(points, device is not None)}
    return {
        "schema": SCHEMA,
        "graph": graph.stem,
        "target": target,
        "device": "" if device is None else device.device,
        "nodes": data.num_nodes,
        "edges": data.num_edges,
        "test_nodes": int(data.test.sum()),
        "options": asdict(options),
        "points": [{**point, "on_front": point["id"] in front} for point in points],
    }


def _front(points: Sequence[dict[str, Any]], is_timed: bool) -> tuple[Evaluation[int], ...]:
    names = (*OBJECTIVES, *(("latency",) if is_timed else ()))
    evaluations = []
    for point in points:
        found = point["measured"]["found"]
        values = {"wrong": 100 - found["accuracy"], **found}
        objectives = {name: values[name] for name in names}
        evaluations.append(Evaluation({"id": point["id"]}, objectives))
    return nondominated(evaluations, names)


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
