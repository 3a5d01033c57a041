"""Byte ranges of HTTP (RFC 9110, section 14). Pure."""

from __future__ import annotations

import re

_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")


class UnsatisfiableError(ValueError):
    """The range lies outside what there is."""


def parse(header: str, size: int) -> tuple[int, int] | None:
    """Return begin and end (exclusive) of the range that *header* asks for, of *size* bytes.

    None where the header is to be passed over, as RFC 9110 allows: no byte range, a malformed one, or several. Raises
    `UnsatisfiableError`.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        length = int(match[2])
        if length == 0 or size == 0:
            raise UnsatisfiableError
        return max(0, size - length), size
    begin = int(match[1])
    end = size if match[2] == "" else min(size, int(match[2]) + 1)
    if match[2] != "" and int(match[2]) < begin:
        return None
    if begin >= size:
        raise UnsatisfiableError
    return begin, end


def matches(header: str, etag: str) -> bool:
    """Tell whether *etag*, quoted, is among those of an If-None-Match *header*; weak ones count as well."""
    return any(one.strip().removeprefix("W/") in ("*", etag) for one in header.split(","))
