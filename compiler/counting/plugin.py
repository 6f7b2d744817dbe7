"""The emulator's plugin that counts: compiled for this machine when it is first needed."""

import hashlib
import os
import platform
import tempfile
from pathlib import Path

from octavo.compiler.artifact.toolchain import cache_folder, runtime_folder, zig

# Emulators of this release and later refuse plugins that say that they mean version 1. What
# counting uses is the same in both.
# Source: QEMU, "TCG plugins", change log of the plugin interface: version 2 in release 9.0.
_VERSION_2_SINCE = 9
_FLAGS = ("-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-fno-sanitize=all")


def counting_plugin(emulator_release: int) -> Path:
    """Return the plugin, compiling it when it is not in the cache.

    Args:
        emulator_release: Major number of the emulator's release.

    Raises:
        ToolchainError: It does not compile.
    """
    version = 1 if emulator_release < _VERSION_2_SINCE else 2
    source = runtime_folder() / "qemu_plugin"
    digest = hashlib.sha256(repr((version, _FLAGS, platform.machine())).encode())
    for path in sorted(source.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    plugin = cache_folder() / "qemu_plugin" / f"{digest.hexdigest()[:32]}.so"
    if not plugin.is_file():
        plugin.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=plugin.parent, prefix=".build-") as name:
            define = f"-DOCTAVO_QEMU_PLUGIN_VERSION={version}"
            arguments = [*_FLAGS, "-g0", define, str(source / "count.c"), "-o", "count.so"]
            zig(["cc", *arguments], Path(name))
            os.replace(Path(name) / "count.so", plugin)
    return plugin
