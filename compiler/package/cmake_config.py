"""lib/cmake/NAME: what ``find_package(NAME CONFIG)`` reads."""

from collections.abc import Sequence

import octavo
from octavo.targets.base import Target

_CONFIG = """\
# find_package({name} CONFIG) defines
#   octavo::{name}          the static library: a program gets the models that it calls
#   octavo::{name}_shared   the shared library
#   {name}_MODELS           names of the models
#   {name}_WEIGHTS_MODEL    the weight file of each
# for the target {name}_TARGET, one of: {targets}.
# The first for CMAKE_SYSTEM_NAME and CMAKE_SYSTEM_PROCESSOR is taken where none is chosen.
get_filename_component(_octavo_root "${{CMAKE_CURRENT_LIST_DIR}}/../../.." ABSOLUTE)
set(_octavo_targets {quoted})
set(_octavo_systems {systems})

if(NOT DEFINED {name}_TARGET)
  string(TOLOWER "${{CMAKE_SYSTEM_PROCESSOR}}" _octavo_processor)
  if(_octavo_processor STREQUAL "amd64")
    set(_octavo_processor "x86_64")
  elseif(_octavo_processor STREQUAL "arm64")
    set(_octavo_processor "aarch64")
  elseif(_octavo_processor MATCHES "^armv[78]")
    set(_octavo_processor "arm")
  endif()
  list(FIND _octavo_systems "${{CMAKE_SYSTEM_NAME}}-${{_octavo_processor}}" _octavo_index)
  if(_octavo_index GREATER -1)
    list(GET _octavo_targets ${{_octavo_index}} {name}_TARGET)
  endif()
endif()
if(NOT {name}_TARGET IN_LIST _octavo_targets)
  set({name}_FOUND FALSE)
  set({name}_NOT_FOUND_MESSAGE
    "no library for ${{CMAKE_SYSTEM_NAME}} on ${{CMAKE_SYSTEM_PROCESSOR}};\
 {name}_TARGET can be: {targets}")
  return()
endif()

include(CMakeFindDependencyMacro)
find_dependency(Threads)

set({name}_MODELS {models})
foreach(_octavo_model IN LISTS {name}_MODELS)
  set({name}_WEIGHTS_${{_octavo_model}}
    "${{_octavo_root}}/models/${{{name}_TARGET}}/${{_octavo_model}}/weights.bin")
endforeach()

if(NOT TARGET octavo::{name})
  add_library(octavo::{name} STATIC IMPORTED)
  set_target_properties(octavo::{name} PROPERTIES
    IMPORTED_LOCATION "${{_octavo_root}}/lib/${{{name}_TARGET}}/lib{library}.a"
    INTERFACE_INCLUDE_DIRECTORIES "${{_octavo_root}}/include"
    INTERFACE_LINK_LIBRARIES "Threads::Threads;${{CMAKE_DL_LIBS}};m")
  add_library(octavo::{name}_shared SHARED IMPORTED)
  set_target_properties(octavo::{name}_shared PROPERTIES
    IMPORTED_LOCATION "${{_octavo_root}}/lib/${{{name}_TARGET}}/lib{library}.so"
    IMPORTED_SONAME "lib{library}.so"
    INTERFACE_INCLUDE_DIRECTORIES "${{_octavo_root}}/include")
endif()
"""

_VERSION = """\
set(PACKAGE_VERSION "{version}")
if(PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE FALSE)
else()
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
  if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
  endif()
endif()
"""


def cmake_files(
    name: str, library: str, targets: Sequence[Target], models: Sequence[str]
) -> dict[str, str]:
    """The files by name.

    Args:
        name: Of the package.
        library: Of the libraries, without ``lib``.
        targets: That there are libraries for.
        models: In each of them.
    """
    names = [target.name for target in targets]
    config = _CONFIG.format(
        name=name,
        library=library,
        targets=", ".join(names),
        quoted=" ".join(f'"{target}"' for target in names),
        systems=" ".join(f'"{_system(target)}"' for target in targets),
        models=" ".join(models),
    )
    return {
        f"{name}-config.cmake": config,
        f"{name}-config-version.cmake": _VERSION.format(version=octavo.__version__),
    }


def _system(target: Target) -> str:
    """The usual CMAKE_SYSTEM_NAME and CMAKE_SYSTEM_PROCESSOR.

    32-bit Arm has several names of processors, which the file makes one.
    """
    architecture = target.triple.split("-", 1)[0]
    processor = "arm" if architecture.startswith("arm") else architecture
    system = "Linux" if target.abi is None else target.abi.system.capitalize()
    return f"{system}-{processor}"
