"""Stands in for adb: devices, push, pull and shell of developer.android.com/tools/adb.

The device is a folder, named by $ADB_STAND_IN: what a command writes /data/local/tmp lies in
it, what lies in its folders ``proc`` and ``sys`` is read instead of this machine's, the file
``serials`` lists what is connected, and a device is gone while its file
``SERIAL.gone`` exists. A shell that is running when that happens ends at once, without the
command's exit code: 0, the worst that a client can make of it.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TextIO

ROOT = Path(os.environ["ADB_STAND_IN"])
SCRATCH = "/data/local/tmp"
SYSTEM = ("proc", "sys")  # are this machine's, unless the device's folder has such folders


def main(arguments: list[str]) -> int:
    serials = (ROOT / "serials").read_text().split()
    present = [serial for serial in serials if not (ROOT / f"{serial}.gone").exists()]
    if arguments[:1] == ["devices"]:
        print("* daemon not running; starting now at tcp:5037")
        print("* daemon started successfully")
        print("List of devices attached")
        for serial in present:
            print(f"{serial}\tdevice product:p model:Pixel_8 device:shiba transport_id:1")
        print("LOCKED1\tunauthorized transport_id:2\n")
        return 0
    if arguments[:1] == ["-s"]:
        serial, arguments = arguments[1], arguments[2:]
        if serial not in present:
            return fail(f"adb: device '{serial}' not found")
    elif len(present) != 1:
        return fail(
            "adb: more than one device/emulator" if present
            else "adb: no devices/emulators found")
    else:
        serial = present[0]
    verb, *operands = arguments
    return {"push": push, "pull": pull, "shell": shell}[verb](serial, *operands)


def fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


def inside(serial: str, text: str) -> str:
    for part in SYSTEM:
        if (ROOT / serial / part).is_dir():
            text = text.replace(f" /{part}/", f" {ROOT / serial / part}/")
    return text.replace(SCRATCH, str(ROOT / serial))


def push(serial: str, source: str, path: str) -> int:
    try:
        shutil.copyfile(source, inside(serial, path))
    except OSError as error:
        return fail(f"adb: error: failed to copy '{source}' to '{path}': remote couldn't"
                    f" create file: {error.strerror}")
    print(f"{source}: 1 file pushed, 0 skipped. 31.4 MB/s")
    return 0


def pull(serial: str, path: str, copy: str) -> int:
    try:
        shutil.copyfile(inside(serial, path), copy)
    except OSError as error:
        return fail(f"adb: error: failed to stat remote object '{path}': {error.strerror}")
    print(f"{path}: 1 file pulled, 0 skipped. 31.4 MB/s")
    return 0


def shell(serial: str, *command: str) -> int:
    line = inside(serial, " ".join(command))  # adb joins its arguments; the device's shell
    process = subprocess.Popen(
        ["sh", "-c", line], start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    copies = [
        threading.Thread(target=copy_stream, args=(serial, *streams), daemon=True)
        for streams in ((process.stdout, sys.stdout), (process.stderr, sys.stderr))]
    for copy in copies:
        copy.start()
    while process.poll() is None:
        if (ROOT / f"{serial}.gone").exists():
            subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=False)
            return 0
        time.sleep(0.01)
    for copy in copies:
        copy.join()
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def copy_stream(serial: str, source: IO[bytes], sink: TextIO) -> None:
    data = source.read()
    for part in SYSTEM:
        data = data.replace(f"{ROOT / serial / part}/".encode(), f"/{part}/".encode())
    sink.buffer.write(data)
    sink.flush()


sys.exit(main(sys.argv[1:]))
