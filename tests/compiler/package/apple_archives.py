"""What is in static libraries of Apple's systems."""

import struct


def members(archive):
    """Objects of an archive in the form of BSD's ar, without its index."""
    assert archive[:8] == b"!<arch>\n"
    at = 8
    while at < len(archive):
        header = archive[at : at + 60]
        name, size = header[:16].decode().strip(), int(header[48:58])
        body = archive[at + 60 : at + 60 + size]
        if name.startswith("#1/"):
            length = int(name[3:])
            name, body = body[:length].rstrip(b"\0").decode(), body[length:]
        if not name.startswith("__.SYMDEF"):
            yield name, body
        at += 60 + size + size % 2


def thin(data):
    """Archives by processor."""
    if data[:4] != struct.pack(">I", 0xCAFEBABE):
        (processor,) = {struct.unpack_from("<I", body, 4)[0] for _, body in members(data)}
        return {processor: data}
    (count,) = struct.unpack_from(">I", data, 4)
    records = [struct.unpack_from(">IIIII", data, 8 + 20 * i) for i in range(count)]
    return {r[0]: data[r[2] : r[2] + r[3]] for r in records}
