"""From an operation as JSON values, as databases and manifests have it, back to a record."""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_type_hints

import octavo.targets.ops


@cache
def operation_types() -> dict[str, type[Any]]:
    """Every record of ``octavo.targets.ops`` by its name: a new one needs no line here."""
    found: dict[str, type[Any]] = {}
    for module_info in pkgutil.iter_modules(octavo.targets.ops.__path__):
        module = importlib.import_module(f"octavo.targets.ops.{module_info.name}")
        found |= {
            name: value
            for name, value in vars(module).items()
            if isinstance(value, type) and is_dataclass(value)
            and value.__module__ == module.__name__
        }
    return found


def operation_from_record(record: Mapping[str, Any]) -> Any | None:
    """Read what ``octavo.compiler.measurements.key.operation_record`` wrote.

    Returns:
        The record; None where this version does not know it: its type, a field, or a value.
    """
    kind = operation_types().get(str(record.get("type")))
    if kind is None:
        return None
    try:
        return _build(kind, {name: value for name, value in record.items() if name != "type"})
    except (TypeError, ValueError, ArithmeticError):
        return None


def _build(kind: type[Any], values: Mapping[str, Any]) -> Any:
    hints = get_type_hints(kind)
    known = {field.name for field in fields(kind)}
    if unknown := set(values) - known:
        raise ValueError(f"{kind.__name__} has no {sorted(unknown)}")
    return kind(**{name: _value(hints[name], value) for name, value in values.items()})


def _value(hint: Any, value: Any) -> Any:
    if isinstance(value, Mapping):  # a record in a record, perhaps an optional one
        kinds = [kind for kind in (hint, *get_args(hint)) if is_dataclass(kind)]
        (kind,) = kinds
        return _build(kind if isinstance(kind, type) else type(kind), value)
    return _frozen(value)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
