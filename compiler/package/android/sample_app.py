"""The sample app: a Gradle project, ready to open, that classifies a picture."""

import shutil
from pathlib import Path

from octavo.compiler.artifact.toolchain import runtime_folder
from octavo.compiler.package.android.sample_picture import draw_picture
from octavo.errors import ArtifactError

_PICTURE = "picture"
_LABELS = "labels.txt"
_DRAWN = ".png"
_READABLE = (".png", ".jpg", ".jpeg", ".webp")  # what every version of Android decodes


def write_sample(
    folder: Path,
    aar_name: str,
    model_name: str,
    api_level: int,
    picture: Path | None,
    labels: Path | None,
) -> None:
    """Write the project.

    Args:
        folder: To create, beside the AAR.
        aar_name: File name of the AAR.
        model_name: The model that it runs.
        api_level: Oldest version of Android that the AAR takes.
        picture: What it classifies; None draws one.
        labels: Names of classes, one a line; None for numbers.

    Raises:
        ArtifactError: The picture is of a kind that Android does not read.
    """
    suffix = _DRAWN if picture is None else picture.suffix.lower()
    if suffix not in _READABLE:
        raise ArtifactError(f"{picture}: a picture is one of {', '.join(_READABLE)}")
    values = {
        "@AAR@": aar_name,
        "@MODEL@": model_name,
        "@API_LEVEL@": str(api_level),
        "@PICTURE@": _PICTURE + suffix,
    }
    source = runtime_folder() / "android" / "sample"
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        text = file.read_text(encoding="utf-8")
        for mark, value in values.items():
            text = text.replace(mark, value)
        copy = folder / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text, encoding="utf-8")
    assets = folder / "app" / "src" / "main" / "assets"
    assets.mkdir()
    if picture is None:
        (assets / (_PICTURE + suffix)).write_bytes(draw_picture())
    else:
        shutil.copyfile(picture, assets / (_PICTURE + suffix))
    if labels is not None:
        shutil.copyfile(labels, assets / _LABELS)
