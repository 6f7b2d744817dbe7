"""Real products, by the name that a user types."""

from octavo.targets.device import Device
from octavo.targets.devices import boards, google, raspberry_pi, samsung

DEVICES: dict[str, Device] = {
    device.name: device
    for device in (
        *google.DEVICES,
        *samsung.DEVICES,
        *raspberry_pi.DEVICES,
        *boards.DEVICES,
    )
}

# Signal processors of products: the name that a user types, and whose it is.
DSPS: dict[str, Device] = {
    "galaxy-s21-dsp": DEVICES["galaxy-s21-snapdragon"],
    "galaxy-s22-dsp": DEVICES["galaxy-s22-snapdragon"],
    "galaxy-s23-dsp": DEVICES["galaxy-s23"],
    "galaxy-s24-dsp": DEVICES["galaxy-s24-snapdragon"],
    "galaxy-s25-dsp": DEVICES["galaxy-s25"],
    "rb3-gen2-dsp": DEVICES["rb3-gen2"],
    "rb5-dsp": DEVICES["rb5"],
}
