"""Phones of other vendors with Snapdragon chips: OnePlus and Fairphone, 2023 to 2025."""

from octavo.targets.android import ANDROID_ARM64
from octavo.targets.device import Chip, Device
from octavo.targets.devices.snapdragon import (
    QCM6490,
    SNAPDRAGON_8_ELITE,
    SNAPDRAGON_8_GEN_2,
    SNAPDRAGON_8_GEN_3,
)

GIB = 1024**3


def _phone(product: str, chip: Chip, memory_gib: int, api_level: int, *sources: str) -> Device:
    return Device(
        name=product.lower().replace(" ", "-"),
        product=product,
        chip=chip,
        memory_bytes=memory_gib * GIB,
        system="android",
        api_level=api_level,
        abi=ANDROID_ARM64,
        sources=sources,
    )


DEVICES = (
    _phone(
        "OnePlus 11",
        SNAPDRAGON_8_GEN_2,
        8,
        33,
        "LineageOS wiki, salami",
        "GizBot, OnePlus 11 5G, February 2023",
    ),
    _phone(
        "OnePlus 12",
        SNAPDRAGON_8_GEN_3,
        12,
        34,
        "LineageOS wiki, waffle",
        "USA Viewport, Xiaomi 14 vs OnePlus 12",
    ),
    _phone(
        "OnePlus 13",
        SNAPDRAGON_8_ELITE,
        12,
        35,
        "LineageOS wiki, dodge",
        "TechTide, Oxygen OS 15, 2024",
    ),
    _phone(
        "Fairphone 5",
        QCM6490,
        8,
        33,
        "LineageOS wiki, FP5",
        "Linux Format, Fairphone 5, May 2024",
    ),
)
