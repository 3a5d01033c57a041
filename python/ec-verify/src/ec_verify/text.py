"""Text from strangers, made fit for a terminal, a log line and JSON.

Names in a store are bytes that whoever tampered with it has chosen. Printed as they are, they could move
the cursor, colour a `failed` green or hide a line; a byte that is no UTF-8 could stop a report from being
written at all.
"""

from __future__ import annotations

_BYTE = 0x100
_SHORT = 0x10000
_ESCAPED_BYTES = range(0xDC80, 0xDD00)  # how Python carries bytes that are no UTF-8


def printable(text: str) -> str:
    r"""Return *text* with everything escaped that does not print as itself: ``\x1b``, ``\u202e``, ``\xff`` for a byte.

    Line breaks are escaped too. A backslash stays one: the result is for reading, not for parsing back.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(ord(character)) for character in text)


def one_line(text: str, limit: int = 1000) -> str:
    """Return *text* as one printable line of at most *limit* characters; white space runs together."""
    return clip(printable(" ".join(text.split())), limit)


def lines(text: str) -> str:
    """Return *text* with every line printable, and the line breaks kept."""
    return text if text.isprintable() else "\n".join(map(printable, text.splitlines()))


def clip(text: str, limit: int) -> str:
    """Return *text*, cut to *limit* characters with an ellipsis at its end."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _escape(code: int) -> str:
    if code in _ESCAPED_BYTES:
        code -= 0xDC00
    if code < _BYTE:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < _SHORT else f"\\U{code:08x}"
