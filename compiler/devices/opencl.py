"""Accelerators of this machine, through the OpenCL drivers that are installed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from octavo.compiler.artifact.manifest import read_manifest
from octavo.compiler.devices.base import Deployment
from octavo.compiler.devices.local import LocalDevice
from octavo.errors import DeviceError, TargetError

SCHEME = "opencl"
QUERY = Path(__file__).with_name("opencl_query.py")  # as a file: the package loads for long
QUERY_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class OpenclAccelerator:
    """A device of an OpenCL driver.

    Attributes:
        platform: The driver.
        name: The device.
        version: OpenCL version of the device.
        driver: Version of the driver.
        kind: "GPU", "CPU" or "other".
        num_compute_units: Cores, as the driver counts them.
    """

    platform: str
    name: str
    version: str
    driver: str
    kind: str
    num_compute_units: int


@dataclass(frozen=True)
class OpenclDevice:
    """Runs artifacts whose steps are on an accelerator of this machine.

    The bench program runs as for ``local``; its runtime takes the first GPU of any driver, and
    where there is none, unless the target needs one, the first device.
    """

    name: str = SCHEME
    description: str = "an accelerator of this machine, through its OpenCL driver"

    @contextmanager
    def deploy(self, artifact: Path) -> Iterator[Deployment]:
        """See ``LocalDevice.deploy``.

        Raises:
            ArtifactError: It is none, or was changed after it was built.
            DeviceError: There is no driver, or it has no device.
            TargetError: No step of it runs on an accelerator, or its other steps are for
                another architecture.
        """
        manifest = read_manifest(artifact)
        if not manifest.get("target_details", {}).get("accelerator"):
            raise TargetError(
                f"{artifact} was compiled for {manifest.get('target')}: none of its steps runs"
                " on an accelerator; compile it with --target opencl")
        with LocalDevice(self.name).deploy(artifact) as deployment:
            found_accelerators()
            yield deployment


def found_accelerators() -> list[OpenclAccelerator]:
    """What the drivers of this machine have; asked in a process of its own.

    Raises:
        DeviceError: There is none; says why.
    """
    try:
        done = subprocess.run(
            [sys.executable, str(QUERY)], capture_output=True, text=True, errors="replace",
            timeout=QUERY_TIMEOUT_S, check=False)
        found = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise DeviceError(
            f"{SCHEME}: the drivers do not answer within {QUERY_TIMEOUT_S:g} s") from None
    except (OSError, ValueError) as error:
        raise DeviceError(f"{SCHEME}: a driver failed when it was asked") from error
    if isinstance(found, str):
        raise DeviceError(f"{SCHEME}: {found}")
    return [OpenclAccelerator(**record) for record in found]
