"""Import in a process of its own: what a bad model takes or breaks is that process's."""

from octavo.compiler.importer.isolation.parent import (
    IS_POSSIBLE,
    TRUSTED,
    import_in_child,
)

__all__ = ["IS_POSSIBLE", "TRUSTED", "import_in_child"]
