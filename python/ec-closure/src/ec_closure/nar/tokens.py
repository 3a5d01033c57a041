"""The fixed strings of a NAR, spelled as they stand in the archive.

Every string is its length as a little-endian 64-bit number, its bytes, and zeroes up to a multiple of 8. Since tokens
come in a fixed order, runs of them are kept as one constant.
"""

from __future__ import annotations

from typing import Final

ALIGNMENT: Final = 8
MAX_NAME: Final = 255
MAX_TARGET: Final = 4095
"""Linux allows no more than these, nor does Nix since 2026."""

PADDING: Final = tuple(bytes(-remainder % ALIGNMENT) for remainder in range(ALIGNMENT))
"""The zeroes that follow a string, by its length modulo 8."""


def string(data: bytes) -> bytes:
    """Return *data* as a NAR string."""
    return len(data).to_bytes(8, "little") + data + PADDING[len(data) & 7]


def words(run: bytes) -> list[bytes]:
    """Return the strings of a *run* of tokens, for messages."""
    found = []
    while run:
        length = int.from_bytes(run[:8], "little")
        found.append(run[8 : 8 + length])
        run = run[8 + length + len(PADDING[length & 7]) :]
    return found


def is_name(name: bytes) -> bool:
    """Whether *name* can be an entry of a directory without leading out of it."""
    return 0 < len(name) <= MAX_NAME and name not in {b".", b".."} and b"/" not in name and b"\0" not in name


CLOSE: Final = string(b")")
ENTRY: Final = string(b"entry") + string(b"(") + string(b"name")
NODE: Final = string(b"node")
MAGIC: Final = string(b"nix-archive-1")
TYPE: Final = string(b"(") + string(b"type")
EXECUTABLE: Final = string(b"executable") + string(b"")
CONTENTS: Final = string(b"contents")
REGULAR: Final = TYPE + string(b"regular") + CONTENTS
REGULAR_EXECUTABLE: Final = TYPE + string(b"regular") + EXECUTABLE + CONTENTS
TARGET: Final = string(b"target")
SYMLINK: Final = TYPE + string(b"symlink") + TARGET
DIRECTORY: Final = TYPE + string(b"directory")
