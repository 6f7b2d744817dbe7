"""Where artifacts run: this machine, an emulator, a board behind SSH, an Android device."""

from octavo.compiler.devices.base import Deployment, Device
from octavo.compiler.devices.find import DEVICES, FORMS, find_device

__all__ = ["DEVICES", "FORMS", "Deployment", "Device", "find_device"]
