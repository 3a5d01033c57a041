"""Byte ranges (RFC 9110, section 14). Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

_ONE = re.compile(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*")


class Span(NamedTuple):
    """Bytes from *start* up to but without *end*."""

    start: int
    end: int


class UnsatisfiableError(ValueError):
    """The range lies outside the file: 416."""


def parse(header: str | None, size: int) -> Span | None:
    """Return what *header*, the value of `Range`, asks for of a file of *size* bytes; None for all of it.

    What is malformed, of another unit, or several ranges, is ignored, as the standard allows. Raises
    `UnsatisfiableError` for one range without a byte of the file in it.
    """
    match = _ONE.fullmatch(header) if header is not None else None
    if match is None:
        return None
    first, last = match[1], match[2]
    if not first and not last:
        return None
    if not first:
        length = min(int(last), size)
        if not length:
            raise UnsatisfiableError
        return Span(size - length, size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise UnsatisfiableError
    return Span(start, min(int(last) + 1, size) if last else size)
