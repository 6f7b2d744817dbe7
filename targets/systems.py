"""Levels on a system whose C library the linker does not have: any product of that system."""

from collections.abc import Mapping
from dataclasses import replace

from octavo.targets.abi import Abi
from octavo.targets.android import ANDROID_ARM64, ANDROID_ARMV7, ANDROID_X86_64
from octavo.targets.apple import (
    IOS_ARM64,
    IOS_SIMULATOR_ARM64,
    IOS_SIMULATOR_X86_64,
    MACOS_ARM64,
    MACOS_X86_64,
)
from octavo.targets.base import Target

# Name, level, binary interface, and what it is for; "" takes the level's words.
_ON_SYSTEMS = (
    ("android-arm64", "arm64-neon", ANDROID_ARM64, ""),
    ("android-arm64-dotprod", "arm64-dotprod", ANDROID_ARM64, ""),
    ("android-arm64-i8mm", "arm64-i8mm", ANDROID_ARM64, ""),
    ("android-armv7", "armv7-neon", ANDROID_ARMV7, ""),
    ("android-x86-64", "x86-64", ANDROID_X86_64, ""),
    ("ios-arm64", "arm64-neon", IOS_ARM64, "any device of iOS 15 and later"),
    (
        "ios-arm64-dotprod",
        "arm64-dotprod",
        IOS_ARM64,
        "int8 dot products: A13 (iPhone 11, 2019) and later",
    ),
    (
        "ios-arm64-i8mm",
        "arm64-i8mm",
        IOS_ARM64,
        "int8 matrix products: A15 (iPhone 13, 2021), M2 and later",
    ),
    ("ios-simulator-arm64", "arm64-neon", IOS_SIMULATOR_ARM64, "Macs with M1 and later"),
    ("ios-simulator-x86-64", "x86-64", IOS_SIMULATOR_X86_64, "Macs with Intel's CPUs"),
    ("macos-arm64", "arm64-dotprod", MACOS_ARM64, "Macs with M1 and later, macOS 12"),
    ("macos-x86-64", "x86-64", MACOS_X86_64, "Macs with Intel's CPUs, macOS 12"),
)


def on_system(target: Target, abi: Abi) -> Target:
    """The same target, its library linked for another system."""
    own = target.program_zig_target or target.zig_target
    # The flags are those of a linker, the emulator and its C library run programs.
    links = abi.has_programs
    return replace(
        target,
        triple=abi.triple,
        zig_target=abi.zig_target,
        program_zig_target=(abi.program_zig_target or own) if links else abi.zig_target,
        link_flags=target.link_flags if links else (),
        emulator=target.emulator if links else None,
        abi=abi,
    )


def system_targets(levels: Mapping[str, Target]) -> dict[str, Target]:
    """Records of levels on systems, by name."""
    return {
        name: replace(
            on_system(levels[level], abi),
            name=name,
            level=level,
            description=f"{_name(abi)}: {description or levels[level].description}",
            sources=(*levels[level].sources, *abi.sources),
        )
        for name, level, abi, description in _ON_SYSTEMS
    }


def _name(abi: Abi) -> str:
    return " ".join(part for part in (abi.system, abi.name, abi.variant) if part)
