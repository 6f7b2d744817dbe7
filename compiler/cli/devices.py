"""``octavo devices``: where artifacts can run now."""

import platform
from typing import Any

import click

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.options import output_options
from octavo.compiler.report.units import printable
from octavo.errors import DeviceError

READY = "ready"


@click.command("devices")
@output_options
@click.pass_obj
def devices_command(console: Console) -> None:
    """List where artifacts can run now: --device of run and profile takes these names."""
    from rich.table import Table

    rows = [
        {"device": "local", "state": READY, "detail": f"this machine, {platform.machine()}"},
        *_emulators(),
        *_accelerators(),
        *_android(),
    ]
    table = Table(box=None, pad_edge=False)
    for header in ("device", "state", "what it is"):
        table.add_column(header)
    for row in rows:
        table.add_row(*(printable(row[key]) for key in ("device", "state", "detail")))
    console.result(
        {"devices": rows},
        table,
        "Also ssh://[USER@]HOST[:PORT]: any machine that your ssh reaches without a password.",
    )


def _emulators() -> list[dict[str, Any]]:
    """One row for each emulator, with the levels that it runs."""
    import shutil

    from octavo.targets import TARGETS

    levels: dict[tuple[str, str], list[str]] = {}
    for target in TARGETS.values():
        if target.emulator is not None and target.is_emulated:
            key = (target.emulator.program, target.emulator.package)
            levels.setdefault(key, []).append(target.name)
    return [
        {
            "device": "qemu",
            "state": READY if shutil.which(program) else "not installed",
            "detail": f"{program} for {', '.join(names)}"
            + ("" if shutil.which(program) else f"; Debian package: {package}"),
        }
        for (program, package), names in levels.items()
    ]


def _accelerators() -> list[dict[str, Any]]:
    """One row for each device of an OpenCL driver, or one that says why there is none."""
    from octavo.compiler.devices import opencl

    try:
        found = opencl.found_accelerators()
    except DeviceError as error:
        detail = str(error).removeprefix(f"{opencl.SCHEME}: ")
        return [{"device": opencl.SCHEME, "state": "none", "detail": detail}]
    return [
        {
            "device": opencl.SCHEME,
            "state": READY,
            "detail": f"{device.kind} {device.name}, {device.num_compute_units} compute units,"
            f" {device.platform}, driver {device.driver}",
        }
        for device in found
    ]


def _android() -> list[dict[str, Any]]:
    """One row for each device that adb knows, or one that says why there is none."""
    from octavo.compiler.devices import adb

    try:
        found = adb.connected_devices()
    except DeviceError as error:
        return [{"device": adb.SCHEME, "state": "fails", "detail": str(error)}]
    if found is None:
        missing = "adb, of the Android platform tools; $ADB may name it"
        return [{"device": adb.SCHEME, "state": "not installed", "detail": missing}]
    return [
        {
            "device": f"{adb.SCHEME}:{device.serial}",
            "state": READY if device.state == adb.READY else device.state,
            "detail": device.model or "an Android device",
        }
        for device in found
    ] or [{"device": adb.SCHEME, "state": "none", "detail": "no Android device is connected"}]
