"""A strict subset of tar: for every set of members there is exactly one archive, and any `tar` reads it.

Regular files alone, by fixed names in ascending order, without owners, times or modes of their own. A reader therefore
compares each header with the one it would write itself: links, devices, long names, second members of a name and
whatever else tar can say do not exist here. Source: POSIX.1-1988, ustar.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ec_closure.errors import BadInputError, LimitError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_MEMBERS: Final = 2000
MAX_NAME: Final = 99
_BLOCK: Final = 512
_END: Final = bytes(2 * _BLOCK)
_SIZE_AT: Final = slice(124, 135)
_SEGMENT: Final = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_NAME: Final = re.compile(rf"{_SEGMENT}(/{_SEGMENT})?")


class ArchiveError(BadInputError):
    """Bytes are no archive of the one form; the place is a byte offset or a member's name."""

    code = "archive"


class ArchiveLimitError(ArchiveError, LimitError):
    """An archive is larger, or has more members, than is accepted."""

    code = "archive-limit"


def pack(members: Mapping[str, bytes]) -> bytes:
    """Return the archive of *members*. Raises `ArchiveError` for a name that none may have."""
    parts = []
    for name in sorted(members):
        if not _is_name(name):
            raise ArchiveError("is no name for a member", place=repr(name[:MAX_NAME]))
        data = members[name]
        parts += [_header(name, len(data)), data, bytes(-len(data) % _BLOCK)]
    return b"".join([*parts, _END])


def unpack(data: bytes, *, what: str, max_bytes: int, max_member: int) -> dict[str, bytes]:
    """Return the members of an archive that `pack` made; `pack` gives the same bytes for them.

    Raises `ArchiveError` for anything else, with the offset where it differs, and `ArchiveLimitError` above *max_bytes*
    altogether, *max_member* in one member, or `MAX_MEMBERS`. Not checked: what the members hold.
    """
    if len(data) > max_bytes:
        raise ArchiveLimitError(f"{len(data)} bytes where at most {max_bytes} are accepted", place=what)
    members: dict[str, bytes] = {}
    previous = ""
    at = 0
    while data[at : at + _BLOCK] != _END[:_BLOCK]:
        place = f"{what}: byte {at}"
        name, size = _read_header(data[at : at + _BLOCK], place)
        if size > max_member:
            raise ArchiveLimitError(f"{name} has {size} bytes where at most {max_member} are accepted", place=place)
        if len(members) >= MAX_MEMBERS:
            raise ArchiveLimitError(f"more than {MAX_MEMBERS} members", place=place)
        if name <= previous:
            problem = "appears twice" if name == previous else f"comes after {previous}"
            raise ArchiveError(f"the member {name} {problem}", place=place)
        start, end = at + _BLOCK, at + _BLOCK + size
        at = end + -size % _BLOCK
        if at > len(data):
            raise ArchiveError(f"ends within the member {name}", place=place)
        if any(data[end:at]):
            raise ArchiveError(f"the padding of {name} is not zero", place=place)
        members[name] = data[start:end]
        previous = name
    if data[at:] != _END:
        raise ArchiveError("does not end where an archive ends", place=f"{what}: byte {at}")
    return members


def _is_name(name: str) -> bool:
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


def _read_header(header: bytes, place: str) -> tuple[str, int]:
    name = header.partition(b"\0")[0].decode("ascii", "replace")
    digits = header[_SIZE_AT]
    if len(header) == _BLOCK and _is_name(name) and re.fullmatch(rb"[0-7]{11}", digits):
        size = int(digits, 8)
        if header == _header(name, size):
            return name, size
    raise ArchiveError("no header of a plain member", place=place, hint="it was cut off, or made by another program")


def _header(name: str, size: int) -> bytes:
    """Return the one header that a member *name* of *size* bytes can have."""
    fields = b"".join(
        [
            name.encode().ljust(100, b"\0"),
            b"0000644\0" + b"0000000\0" * 2,  # mode, owner, group
            b"%011o\0" % size,
            b"00000000001\0",  # time: as Nix has it
            b" " * 8,  # checksum, summed as spaces
            b"0" + bytes(100),  # a regular file, no link
            b"ustar\0" + b"00" + bytes(64) + b"0000000\0" * 2,
        ]
    ).ljust(_BLOCK, b"\0")
    return fields[:148] + b"%06o\0 " % sum(fields) + fields[156:]
