"""Real products, by the name that a user types."""

from octavo.targets.device import Device
from octavo.targets.devices import boards, google, raspberry_pi, samsung, snapdragon_phones

DEVICES: dict[str, Device] = {
    device.name: device
    for device in (
        *google.DEVICES,
        *samsung.DEVICES,
        *snapdragon_phones.DEVICES,
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
    "oneplus-11-dsp": DEVICES["oneplus-11"],
    "oneplus-12-dsp": DEVICES["oneplus-12"],
    "oneplus-13-dsp": DEVICES["oneplus-13"],
    "fairphone-5-dsp": DEVICES["fairphone-5"],
    "rb3-gen2-dsp": DEVICES["rb3-gen2"],
    "rb5-dsp": DEVICES["rb5"],
}

# Graphics processors: the name that a user types, and a product that has it.
GPUS: dict[str, Device] = {
    "mali-g78": DEVICES["pixel-6"],
    "mali-g710": DEVICES["pixel-7"],
    "mali-g715": DEVICES["pixel-8"],
    "adreno-643": DEVICES["rb3-gen2"],
    "adreno-650": DEVICES["rb5"],
    "adreno-660": DEVICES["galaxy-s21-snapdragon"],
    "adreno-730": DEVICES["galaxy-s22-snapdragon"],
    "adreno-740": DEVICES["galaxy-s23"],
    "adreno-750": DEVICES["galaxy-s24-snapdragon"],
    "adreno-830": DEVICES["galaxy-s25"],
}
