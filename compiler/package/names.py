"""What a package is called."""

from collections.abc import Mapping

from octavo.compiler.artifact.c_text import is_identifier
from octavo.compiler.package.models import PackagedModel
from octavo.errors import ArtifactError

_MANY = "models"


def check_name(name: str | None) -> None:
    """Refuse a name that is no C identifier.

    Raises:
        ArtifactError: As said.
    """
    if name is not None and not is_identifier(name):
        raise ArtifactError(
            f"the name {name!r} is not allowed: letters, digits and underscores, and a letter"
            " first"
        )


def package_name(name: str | None, models: Mapping[str, tuple[PackagedModel, ...]]) -> str:
    """The name given, or one after what is in the package.

    Args:
        name: None where the user gave none.
        models: By target.
    """
    names = [model.name for model in next(iter(models.values()))]
    return name or f"octavo_{names[0] if len(names) == 1 else _MANY}"
