"""lib/TARGET/pkgconfig/NAME.pc: what pkg-config says of the libraries."""

import octavo

# The folder can be moved: everything is relative to where the file is.
_FILE = """\
prefix=${{pcfiledir}}/../../..
libdir=${{prefix}}/lib/{target}
includedir=${{prefix}}/include

Name: {name}
Description: {models}, compiled by Octavo for {target}
Version: {version}
Cflags: -I${{includedir}}
Libs: -L${{libdir}} -l{library}
Libs.private: {private}
"""
SYSTEM_LIBRARIES = ("-pthread", "-ldl", "-lm")


def pkg_config_file(name: str, library: str, target: str, models: tuple[str, ...]) -> str:
    """The file.

    Args:
        name: Of the package.
        library: Of the library, without ``lib``.
        target: Its folder.
        models: What is in it.
    """
    return _FILE.format(
        name=name,
        library=library,
        target=target,
        models=", ".join(models),
        version=octavo.__version__,
        private=" ".join(SYSTEM_LIBRARIES),
    )
