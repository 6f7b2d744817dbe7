"""What choosing the integers of weights by the output of layers did, for manifest and page."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from octavo.compiler.calibration.round_model import RoundingResult
    from octavo.compiler.recipes import Recipe


@dataclass(frozen=True)
class LayerRounding:
    """One layer.

    Attributes:
        layer: Its ONNX node.
        error_before: Mean squared error of its output with the nearest integers, on samples
            that nothing was chosen by.
        error_after: The same with the integers that were kept.
        num_changed: Integers that are others.
        num_weights: How many there are.
    """

    layer: str
    error_before: float
    error_after: float
    num_changed: int
    num_weights: int

    @property
    def error_left(self) -> float:
        """Share of the error that is left, 0 to 1."""
        return self.error_after / self.error_before if self.error_before else 1.0

    @property
    def changed_share(self) -> float:
        """Share of the integers that changed, 0 to 1."""
        return self.num_changed / self.num_weights if self.num_weights else 0.0


@dataclass(frozen=True)
class ModelRounding:
    """All layers.

    Attributes:
        method: How integers were chosen.
        mode: What layers read while they were.
        layers: In the order of the model.
        retuned: What scales and biases were made to match afterwards; "none" for nothing.
    """

    method: str
    mode: str
    layers: tuple[LayerRounding, ...]
    retuned: str

    @property
    def num_better(self) -> int:
        """Layers nearer to float than with the nearest integers."""
        return sum(layer.error_after < layer.error_before for layer in self.layers)

    @property
    def changed_share(self) -> float:
        """Share of all integers that changed, 0 to 1."""
        total = sum(layer.num_weights for layer in self.layers)
        return sum(layer.num_changed for layer in self.layers) / total if total else 0.0


def rounding_entry(recipe: "Recipe", rounding: "RoundingResult") -> dict[str, Any] | None:
    """What the manifest keeps; None when integers are the nearest ones."""
    retuning = rounding.retuning
    if retuning is None:
        return None
    return {
        "method": recipe.rounding,
        "mode": recipe.rounding_mode,
        "layers": [asdict(layer) for layer in rounding.layers],
        "retuned": retuning.kind,
    }


def rounding_from_manifest(metadata: Mapping[str, Any]) -> ModelRounding | None:
    """The same as it was written; None for an artifact with the nearest integers."""
    entry = metadata.get("rounding")
    if entry is None:
        return None
    return ModelRounding(
        method=str(entry["method"]),
        mode=str(entry["mode"]),
        layers=tuple(
            LayerRounding(
                str(layer["layer"]),
                float(layer["error_before"]),
                float(layer["error_after"]),
                int(layer["num_changed"]),
                int(layer["num_weights"]),
            )
            for layer in entry["layers"]
        ),
        retuned=str(entry["retuned"]),
    )
