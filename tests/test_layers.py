"""Imports go one way: errors <- passes <- targets <- compiler; only the command prints."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = (
    "errors",
    "passes",
    "targets",
    "compiler",
)  # each may import itself and what is before
MODULES = sorted(
    path for layer in LAYERS[1:] for path in (ROOT / layer).rglob("*.py") if path.is_file()
)
HEAVY = {"tvm", "tvm_ffi", "onnxruntime", "scipy", "sklearn", "torch"}


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that is imported, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            # "from octavo import passes" imports octavo.passes
            yield from ((node.lineno, f"{node.module}.{a.name}") for a in node.names)


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _layer(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def layer_violations(layer: str, tree: ast.AST) -> list[str]:
    """Imports of a later layer, in words."""
    allowed = LAYERS[: LAYERS.index(layer) + 1]
    found = []
    for line, name in _imports(tree):
        parts = name.split(".")
        if parts[0] == "octavo" and len(parts) > 1 and parts[1] in LAYERS:
            if parts[1] not in allowed:
                found.append(f"line {line}: {layer} imports {name}")
        elif layer == "passes" and parts[0] in {"tvm", "tvm_ffi", "click", "rich", "ziglang"}:
            found.append(f"line {line}: passes imports {name}")
        elif parts[0] in LAYERS[1:]:
            found.append(f"line {line}: import octavo.{parts[0]}, not {name}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_module_imports_only_its_own_layer_and_earlier_ones(path):
    assert layer_violations(_layer(path), _parse(path)) == []


@pytest.mark.parametrize(
    ("layer", "source"),
    [
        ("passes", "from octavo.targets.base import Target"),
        ("passes", "def f():\n    import tvm"),
        ("targets", "from octavo import compiler"),
        ("compiler", "import passes.base"),
    ],
)
def test_the_check_sees_a_wrong_import(layer, source):
    assert len(layer_violations(layer, ast.parse(source))) == 1


@pytest.mark.parametrize("path", [ROOT / "src/octavo/errors.py"], ids=_name)
def test_errors_import_nothing_of_octavo(path):
    assert not [name for _, name in _imports(_parse(path)) if name.startswith("octavo")]


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_only_the_command_prints(path):
    if path.is_relative_to(ROOT / "compiler" / "cli"):
        return
    calls = [
        node.lineno
        for node in ast.walk(_parse(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("print", "input", "exec", "eval")
    ]
    assert calls == []


@pytest.mark.parametrize("path", sorted((ROOT / "compiler/cli").glob("*.py")), ids=_name)
def test_the_command_imports_heavy_packages_only_where_it_uses_them(path):
    tree = _parse(path)
    at_top = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    names = {name.split(".")[0] for node in at_top for _, name in _imports(node)}
    assert not names & HEAVY


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_module_is_short_enough_to_read(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
