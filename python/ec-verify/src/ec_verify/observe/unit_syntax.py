r"""Lines, sections and assignments of unit files, as systemd's own parser cuts them. See systemd.syntax(7).

What counts is what systemd reads, not what a person sees: a carriage return or a NUL byte ends a line, a form feed is
no blank, a backslash continues a line only as its very last character, and a comment inside a continued line is left
out of it. Where systemd gives up on a file, this goes on: what is found is never less than what systemd finds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

BLANKS = " \t\n\r"
"""What systemd takes for white space."""

SECTIONS = frozenset(
    {
        *("Unit", "Install", "Service", "Socket", "Mount", "Automount", "Swap", "Timer", "Path", "Slice", "Scope"),
        *("Target", "Device", "Manager"),
    }
)
"""Sections that some unit, or the manager's configuration, has. Others, as `[X-Something]`, are for other programs."""

_END = re.compile(r"\n\r?\0?|\r\n?\0?|\0")
_BYTE_ORDER_MARK = "\ufeff"
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\"'\\]")
# Bytes that are no UTF-8, and code points that are no characters: systemd ignores the whole line.
_NO_TEXT = re.compile(
    "[\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
    + "".join(f"{chr(p << 16 | 0xFFFE)}{chr(p << 16 | 0xFFFF)}" for p in range(1, 17))
    + "]"
)


class Assignment(NamedTuple):
    """One `key=value` of a section; an empty value takes back what was assigned before."""

    section: str
    key: str
    value: str


def parse(unit: str) -> tuple[Assignment, ...]:
    """Return the assignments of a unit file in order, those of unknown sections left out."""
    found: list[Assignment] = []
    section = ""
    for line in _lines(unit):
        if _NO_TEXT.search(line):
            continue
        if line.startswith("["):
            # A header that systemd refuses ends its reading, in some releases: then what follows counts here as before.
            if line.endswith("]") and not _UNSAFE.search(line):
                section = line[1:-1]
            continue
        key, equals, value = line.partition("=")
        if equals and key and section in SECTIONS:
            found.append(Assignment(section, key.strip(BLANKS), value.strip(BLANKS)))
    return tuple(found)


def _lines(unit: str) -> Iterator[str]:
    """Return lines without the blanks around them, continued ones in one piece, comments and empty ones left out."""
    pending: list[str] = []
    marked = False
    for line in _END.split(unit):
        if line.lstrip(BLANKS).startswith(("#", ";")):
            continue
        rest = line
        if not marked and line.startswith(_BYTE_ORDER_MARK):
            marked, rest = True, line[1:]
        if (len(rest) - len(rest.rstrip("\\"))) % 2:
            pending.append(f"{rest[:-1]} ")
            continue
        yield from _whole(pending, rest)
        pending = []
    yield from _whole(pending, "")


def _whole(pending: list[str], rest: str) -> Iterator[str]:
    if line := "".join((*pending, rest)).strip(BLANKS):
        yield line
