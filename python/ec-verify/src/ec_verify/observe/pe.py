"""Sections of a PE file: a unified kernel image carries kernel, initial RAM disk and command line in them.

See the UAPI group's specification of unified kernel images, and Microsoft's of the PE format.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_SECTIONS = 96
"""What Windows accepts; images of this kind have about ten."""

_OPTIONAL = 24
_SECTION = struct.Struct("<8sIIII16x")
HEADER_BYTES = 64 << 10
"""Where headers and section table lie is within the first bytes."""


@dataclass(frozen=True)
class Section:
    """A section's bytes: *size* of them from *offset* in the file."""

    name: str
    offset: int
    size: int


def unique(found: Iterable[Section]) -> dict[str, Section]:
    """Return sections by name, but those of which there are several: loaders differ in which of them they take."""
    listed = list(found)
    count = Counter(one.name for one in listed)
    return {one.name: one for one in listed if count[one.name] == 1}


def sections(head: bytes) -> tuple[Section, ...]:
    """Return the sections that the *head* of a file describes; none when it is no PE file.

    Whether the sections lie inside the file is not known here.
    """
    if len(head) < 64 or head[:2] != b"MZ":  # noqa: PLR2004 - the length of the DOS header
        return ()
    start = int.from_bytes(head[60:64], "little")
    if start > HEADER_BYTES or head[start : start + 4] != b"PE\0\0":
        return ()
    count = int.from_bytes(head[start + 6 : start + 8], "little")
    optional = int.from_bytes(head[start + 20 : start + 22], "little")
    table = start + _OPTIONAL + optional
    found = []
    for number in range(min(count, MAX_SECTIONS)):
        raw = head[table + number * _SECTION.size : table + (number + 1) * _SECTION.size]
        if len(raw) < _SECTION.size:
            break
        name, virtual, _, stored, offset = _SECTION.unpack(raw)
        # The file is padded to the alignment, the memory is not.
        found.append(Section(name.rstrip(b"\0").decode("latin-1"), offset, min(virtual, stored) or stored))
    return tuple(found)
