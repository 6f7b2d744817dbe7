"""Recipes: what to quantize and how, by name."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from octavo.errors import RecipeError
from octavo.passes.layer_format import LayerFormat, check_width
from octavo.passes.observers.choose import make_observer
from octavo.passes.quantizer_options import Granularity, LayerOverride
from octavo.passes.rounding.methods import NEAREST, ROUNDING_MODES, ROUNDINGS
from octavo.passes.weight_scales import BLOCK_SIZES, RANGE_METHODS

MAX_OVERRIDES_BYTES = 2**20
DEFAULT_CALIBRATOR = "minmax"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a float model is quantized.

    Attributes:
        name: What the user types; wi8: int8 weights, ai8: 8-bit activations.
        description: One line for listings.
        quantize_activations: False leaves arithmetic in float32.
        calibrator: Observer of activations.
        weight_bits: Width of weights: 2, 3, 4, 8, 16 or 32.
        activation_bits: Width of activations: the same choices.
        block_size: Input channels of a weight of fewer than 8 bits that share a scale: 16,
            32, 64 or 128; 0: all of them.
        weight_range: How scales of weights are chosen: "minmax" or "mse"; None: the least
            squared error up to 4 bits, the extremes above.
        granularity: Scales of weights without blocks.
        symmetric_activations: Force zero points to the middle.
        float_output: Do not round the model's outputs to 8 bits.
        float_normalization: Compute LayerNormalization and the sum in front of it in float32;
            False keeps everything between the model's ends in integers.
        align_channels: Give all channels of normalized tensors that only products read one
            range, by scaling and shifting them.
        balance_channels: Move outlier channels of normalized tensors into weights, and give
            those between two products a scale of their own, where calibration shows a gain.
        min_imbalance: Equalize layers whose channels differ by this factor; None: never.
        correct_bias: Take mean errors out of biases.
        rounding: How the integers of weights are chosen: one of ``ROUNDINGS``.
        rounding_mode: What layers read while they are: one of ``ROUNDING_MODES``.
    """

    name: str
    description: str
    quantize_activations: bool = True
    calibrator: str = DEFAULT_CALIBRATOR
    weight_bits: int = 8
    activation_bits: int = 8
    block_size: int = 0
    weight_range: str | None = None
    granularity: Granularity = Granularity.PER_CHANNEL
    symmetric_activations: bool = False
    float_output: bool = False
    float_normalization: bool = True
    align_channels: bool = False
    balance_channels: bool = True
    min_imbalance: float | None = 16.0
    correct_bias: bool = False
    rounding: str = NEAREST
    rounding_mode: str = ROUNDING_MODES[0]


RECIPES: tuple[Recipe, ...] = (
    Recipe(
        name="static_wi8_ai8",
        description="int8 weights, 8-bit activations; equalizes badly unbalanced layers",
    ),
    Recipe(
        name="static_wi8_ai8_equalized",
        description="as static_wi8_ai8, all layers equalized and biases corrected",
        min_imbalance=1.0,
        correct_bias=True,
    ),
    Recipe(
        name="weight_only_wi8",
        description="int8 weights, arithmetic in float32",
        quantize_activations=False,
        balance_channels=False,
        min_imbalance=None,
    ),
)

DEFAULT_RECIPE = RECIPES[0].name


def get_recipe(name: str, **options: Any) -> Recipe:
    """A recipe by name, with single fields replaced; None keeps a field.

    Raises:
        RecipeError: The name, an option or a value is not allowed.
    """
    known = {recipe.name: recipe for recipe in RECIPES}
    if name not in known:
        raise RecipeError(f"unknown recipe {name!r}; known recipes: {', '.join(known)}")
    allowed = [f.name for f in fields(Recipe) if f.name not in ("name", "description")]
    for option in options:
        if option not in allowed:
            raise RecipeError(f"unknown recipe option {option!r}; known: {', '.join(allowed)}")
    given = {key: value for key, value in options.items() if value is not None}
    if "granularity" in given:
        given["granularity"] = _granularity(given["granularity"], "granularity")
    if "calibrator" in given:
        _check_calibrator(given["calibrator"])
    _check_widths(given, "")
    _check_known("rounding", given, ROUNDINGS)
    _check_known("rounding_mode", given, ROUNDING_MODES)
    return replace(known[name], **given)


def read_overrides(source: Path | str | Mapping[str, Any] | None) -> tuple[LayerOverride, ...]:
    """Per-layer overrides from a TOML file or from the mapping that it would hold.

    The file has one ``[[layer]]`` table for each override; its keys are the attributes of
    ``LayerOverride``.

    Raises:
        RecipeError: The file cannot be read, or says something that is not allowed.
    """
    if source is None:
        return ()
    table = source if isinstance(source, Mapping) else _read_toml(Path(source))
    unknown = set(table) - {"layer"}
    if unknown:
        raise RecipeError(f"overrides: unknown key {sorted(unknown)[0]!r}; allowed: layer")
    layers = table.get("layer", [])
    if not isinstance(layers, list) or not all(isinstance(item, Mapping) for item in layers):
        raise RecipeError("overrides: layer has to be a list of tables, [[layer]]")
    return tuple(_override(item) for item in layers)


def keep_float_overrides(patterns: Iterable[str]) -> tuple[LayerOverride, ...]:
    """Overrides that keep the named layers in float."""
    return tuple(LayerOverride(match=pattern, keep_float=True) for pattern in patterns)


def configuration_overrides(
    configuration: Mapping[str, LayerFormat],
) -> tuple[LayerOverride, ...]:
    """Overrides that give layers their formats, by node name."""
    return tuple(
        LayerOverride(
            match=name,
            weight_bits=layer.weight_bits,
            activation_bits=layer.activation_bits,
        )
        for name, layer in configuration.items()
    )


def check_patterns_match(
    overrides: Iterable[LayerOverride], unmatched: Iterable[str], names: Iterable[str]
) -> None:
    """Raise when a pattern names no node: it is a typing mistake more often than not.

    Args:
        overrides: What was asked for.
        unmatched: Patterns without a node.
        names: Node names, for a suggestion.
    """
    missing = set(unmatched)
    for override in overrides:
        if override.match in missing:
            near = get_close_matches(override.match, list(names), n=3)
            hint = f"; near: {', '.join(near)}" if near else ""
            raise RecipeError(f"no layer is called or matches {override.match!r}{hint}")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_OVERRIDES_BYTES:
            raise RecipeError(f"overrides {path} is larger than {MAX_OVERRIDES_BYTES} bytes")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"overrides {path} cannot be read: {error}") from error


def _override(table: Mapping[str, Any]) -> LayerOverride:
    types = {
        "match": str,
        "weight_bits": int,
        "activation_bits": int,
        "block_size": int,
        "weight_range": str,
        "keep_float": bool,
        "symmetric": bool,
        "granularity": str,
        "calibrator": str,
    }
    for key, value in table.items():
        if key not in types:
            raise RecipeError(f"override: unknown key {key!r}; allowed: {', '.join(types)}")
        if type(value) is not types[key]:
            raise RecipeError(
                f"override: {key} = {value!r}; allowed: a {types[key].__name__} value"
            )
    if "match" not in table:
        raise RecipeError("override: match is missing; it names the layers")
    _check_widths(table, "override: ")
    given = dict(table)
    if "granularity" in given:
        given["granularity"] = _granularity(given["granularity"], "override: granularity")
    if "calibrator" in given:
        _check_calibrator(given["calibrator"])
    return LayerOverride(**given)


def _check_widths(given: Mapping[str, Any], what: str) -> None:
    try:
        for key in ("weight_bits", "activation_bits"):
            if key in given:
                check_width(key, given[key])
    except ValueError as error:
        raise RecipeError(f"{what}{error}") from error
    choices: dict[str, tuple[Any, ...]] = {
        "block_size": (0, *BLOCK_SIZES),
        "weight_range": RANGE_METHODS,
    }
    for key, allowed in choices.items():
        if key in given and given[key] not in allowed:
            listed = ", ".join(str(value) for value in allowed)
            raise RecipeError(f"{what}{key} = {given[key]!r}; allowed: {listed}")


def _granularity(value: Any, what: str) -> Granularity:
    try:
        return Granularity(value)
    except ValueError as error:
        allowed = ", ".join(g.value for g in Granularity)
        raise RecipeError(f"{what} = {value!r}; allowed: {allowed}") from error


def _check_known(option: str, given: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    if option in given and given[option] not in allowed:
        raise RecipeError(f"{option} = {given[option]!r}; allowed: {', '.join(allowed)}")


def _check_calibrator(name: str) -> None:
    try:
        make_observer(name)
    except ValueError as error:
        raise RecipeError(str(error)) from error
