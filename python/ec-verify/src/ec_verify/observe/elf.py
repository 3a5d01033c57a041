"""Notes of ELF files: the build ID is what names one linking of one kernel module."""

from __future__ import annotations

import struct

_NOTE = struct.Struct("<III")
_BUILD_ID = 3
_MAX_NOTES = 1000
_MAX_ID = 64


def build_id(notes: bytes) -> str | None:
    """Return the build ID among *notes* (the content of a note section) in hexadecimal; None without one.

    See elf(5), "Notes".
    """
    at = 0
    for _ in range(_MAX_NOTES):
        if len(notes) < at + _NOTE.size:
            return None
        name_size, size, kind = _NOTE.unpack_from(notes, at)
        name = notes[at + _NOTE.size : at + _NOTE.size + name_size]
        start = at + _NOTE.size + _aligned(name_size)
        if kind == _BUILD_ID and name == b"GNU\0" and 0 < size <= _MAX_ID and len(notes) >= start + size:
            return notes[start : start + size].hex()
        at = start + _aligned(size)
    return None


def build_id_of_module(head: bytes) -> str | None:
    """Return the build ID of a kernel module from its first bytes, where linkers put that note; None without one.

    Section headers are at the end of a file, and most modules are compressed: only the beginning is looked at.
    """
    if head[:4] != b"\x7fELF":
        return None
    for size in (20, 16, 32, 8):
        mark = _NOTE.pack(4, size, _BUILD_ID) + b"GNU\0"
        if (at := head.find(mark)) >= 0:
            return build_id(head[at:])
    return None


def _aligned(size: int) -> int:
    return (size + 3) & ~3
