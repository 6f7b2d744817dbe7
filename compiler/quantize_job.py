"""What quantizing one model goes by: recipe, options and samples, checked."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from numpy.typing import NDArray

from octavo.compiler.recipes import DEFAULT_RECIPE, Recipe, get_recipe
from octavo.errors import DataError
from octavo.passes.quantizer_options import LayerOverride, QuantizerOptions

DEFAULT_MAX_SAMPLES = 1000

Samples = Iterable[Mapping[str, NDArray[Any]]]


@dataclass(frozen=True, eq=False)
class QuantizeJob:
    """What quantizing one model goes by.

    Attributes:
        chosen: The recipe.
        samples: Inferences; can be iterated several times.
        num_samples: How many of them are used.
        options: What the passes are asked to do.
        progress: Called with a stage, steps done and steps in all.
    """

    chosen: Recipe
    samples: Samples
    num_samples: int
    options: QuantizerOptions
    progress: Callable[[str, int, int], None] | None

    def take(self, count: int) -> Iterator[Mapping[str, NDArray[Any]]]:
        """Up to ``count`` samples, spread over those that are used."""
        # The first of a file are often of one class.
        stride = max(1, self.num_samples // count)
        picked = islice(self.samples, 0, self.num_samples, stride)
        return islice(picked, count)

    def taken(self, count: int) -> int:
        """How many samples ``take`` gives."""
        stride = max(1, self.num_samples // count)
        return min(count, -(-self.num_samples // stride))


def choose_recipe(recipe: str | Recipe, **options: str | None) -> Recipe:
    """A recipe by name, or one with single fields replaced; None keeps a field."""
    if isinstance(recipe, str):
        return get_recipe(recipe, **options)
    # Checked as the options of a named recipe are; what is not given stays as it is.
    get_recipe(DEFAULT_RECIPE, **options)
    given: dict[str, Any] = {key: value for key, value in options.items() if value}
    return replace(recipe, **given)


def count_samples(samples: Samples, max_samples: int | None) -> int:
    """How many samples to calibrate with."""
    if max_samples is not None and max_samples < 1:
        raise DataError(f"max_samples is {max_samples}; at least 1 is needed")
    limit = max_samples or DEFAULT_MAX_SAMPLES
    if isinstance(samples, Iterator):
        raise TypeError("samples can be iterated only once; pass a list or a SampleSource")
    try:
        available = len(samples)  # type: ignore[arg-type]
    except TypeError:
        available = sum(1 for _ in islice(samples, limit))
    if not available:
        raise DataError("no samples to calibrate with; at least 1 is needed")
    return min(limit, available)


def options_of(
    recipe: Recipe, activation_dtype: str, overrides: tuple[LayerOverride, ...]
) -> QuantizerOptions:
    """What a recipe asks of the passes, with choices for single layers."""
    return QuantizerOptions(
        activation_dtype=activation_dtype,
        weight_bits=recipe.weight_bits,
        activation_bits=recipe.activation_bits,
        block_size=recipe.block_size,
        weight_range=recipe.weight_range,
        granularity=recipe.granularity,
        symmetric_activations=recipe.symmetric_activations,
        float_output=recipe.float_output,
        float_normalization=recipe.float_normalization,
        quantize_activations=recipe.quantize_activations,
        overrides=overrides,
    )
