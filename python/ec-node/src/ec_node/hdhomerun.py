"""Finding HDHomeRun tuners: the packets of their discovery protocol. Pure.

A request is broadcast to UDP port 65001, and each device answers. A packet is type and length (16 bits each, big
endian), tagged values, and a CRC-32 (little endian).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

PORT = 65001
_REQUEST, _REPLY = 2, 3
_DEVICE_TYPE, _DEVICE_ID, _TUNERS, _LINEUP_URL, _BASE_URL = 0x01, 0x02, 0x10, 0x27, 0x2A
_TUNER = 1
_ANY = 0xFFFFFFFF
_MAX_PACKET = 3074
_FRAME = 8  # header and checksum
_MORE = 0x80
_ID = 4


@dataclass(frozen=True, order=True)
class Device:
    """A tuner that answered from *host*. Its addresses are what it says: shown, and never followed."""

    device: str
    host: str
    tuners: int = 0
    base_url: str = ""
    lineup_url: str = ""


def request(device: str | None = None) -> bytes:
    """Return the packet that asks for the tuner with the id *device*, or for all."""
    wanted = _ANY if device is None else int(device, 16)
    values = struct.pack(">BBIBBI", _DEVICE_TYPE, _ID, _TUNER, _DEVICE_ID, _ID, wanted)
    return _framed(_REQUEST, values)


def reply(device: Device) -> bytes:
    """Return what *device* would answer. Tests play tuners with it."""
    values = struct.pack(">BBIBBI", _DEVICE_TYPE, _ID, _TUNER, _DEVICE_ID, _ID, int(device.device, 16))
    values += struct.pack(">BBB", _TUNERS, 1, device.tuners)
    for tag, text in ((_LINEUP_URL, device.lineup_url), (_BASE_URL, device.base_url)):
        data = text.encode()
        length = bytes([len(data)]) if len(data) < _MORE else bytes([len(data) & 0x7F | _MORE, len(data) >> 7])
        values += bytes([tag]) + length + data if data else b""
    return _framed(_REPLY, values)


def parse_reply(packet: bytes, host: str) -> Device | None:
    """Return the tuner that sent *packet* from *host*; None when it is no answer of a tuner. Nothing is raised."""
    if not _FRAME <= len(packet) <= _MAX_PACKET:
        return None
    kind, length = struct.unpack_from(">HH", packet)
    (checksum,) = struct.unpack_from("<I", packet, len(packet) - 4)
    if kind != _REPLY or length != len(packet) - _FRAME or checksum != zlib.crc32(packet[:-4]):
        return None
    values = _values(packet[4:-4])
    if (
        values is None
        or values.get(_DEVICE_TYPE) != struct.pack(">I", _TUNER)
        or len(values.get(_DEVICE_ID, b"")) != _ID
    ):
        return None
    return Device(
        values[_DEVICE_ID].hex().upper(),
        host,
        int.from_bytes(values.get(_TUNERS, b"")[:1], "big"),
        values.get(_BASE_URL, b"").decode(errors="replace"),
        values.get(_LINEUP_URL, b"").decode(errors="replace"),
    )


def _framed(kind: int, values: bytes) -> bytes:
    packet = struct.pack(">HH", kind, len(values)) + values
    return packet + struct.pack("<I", zlib.crc32(packet))


def _values(data: bytes) -> dict[int, bytes] | None:
    """Return the tagged values of a packet, the first of each tag; None when they are cut off."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        if at + 2 > len(data):
            return None
        tag, length = data[at], data[at + 1]
        at += 2
        if length & _MORE:
            if at >= len(data):
                return None
            length = length & 0x7F | data[at] << 7
            at += 1
        if at + length > len(data):
            return None
        found.setdefault(tag, data[at : at + length])
        at += length
    return found
