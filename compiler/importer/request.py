"""What is to be imported, and what comes of it, in this process or in another."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from octavo.compiler.importer.limits import Limits

if TYPE_CHECKING:
    from octavo.compiler.importer.draft import Draft
    from octavo.compiler.importer.shapes import InputShape


@dataclass(frozen=True, kw_only=True)
class ImportRequest:
    """A model file and how to read it.

    Attributes:
        path: Model file.
        shapes: Static shapes of inputs, by name.
        maxima: Largest sizes of dimensions that are counted at run time, by name.
        find_varying: Also find out what those dimensions are the sizes of.
        allow_external_data: Whether tensors in other files are read.
        limits: Caps on the model, and on a process that imports it.
    """

    path: str
    shapes: "Mapping[str, InputShape]" = field(default_factory=dict)
    maxima: Mapping[str, int] = field(default_factory=dict)
    find_varying: bool = True
    allow_external_data: bool = False
    limits: Limits = field(default_factory=Limits)

    def to_json(self) -> str:
        """Return the request as text that ``from_json`` reads."""
        return json.dumps(
            asdict(self) | {"shapes": {name: list(dims) for name, dims in self.shapes.items()}}
        )

    @staticmethod
    def from_json(text: str) -> "ImportRequest":
        """Read what ``to_json`` wrote."""
        fields = json.loads(text)
        return ImportRequest(**fields | {"limits": Limits(**fields["limits"])})


def make_request(
    path: str | os.PathLike[str],
    *,
    shapes: "Mapping[str, InputShape] | None",
    maxima: Mapping[str, int] | None,
    allow_external_data: bool,
    limits: Limits | None,
    find_varying: bool = True,
) -> ImportRequest:
    """Return a request with defaults in place of None."""
    return ImportRequest(
        path=os.fsdecode(path),
        shapes=shapes or {},
        maxima=maxima or {},
        find_varying=find_varying,
        allow_external_data=allow_external_data,
        limits=limits or Limits(),
    )


@dataclass(frozen=True)
class Varying:
    """What has the size of a dimension that is counted at run time.

    Attributes:
        dimension: Its name.
        input: Name of the graph input that will hold the count; no value has it yet.
        maximum: The largest count.
        axes: The axis of each value that it is the size of.
        constants: Those of them that are constants, or computed of what has no such axis.
    """

    dimension: str
    input: str
    maximum: int
    axes: dict[str, int]
    constants: dict[str, int]


@dataclass(frozen=True)
class Imported:
    """A draft, and what varies in it."""

    draft: "Draft"
    varying: tuple[Varying, ...] = ()

    def varying_fields(self) -> list[dict[str, Any]]:
        """Return ``varying`` as JSON values."""
        return [asdict(item) for item in self.varying]
