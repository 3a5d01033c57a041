"""What decoders complain about, told our way: one line, cut to a readable length, the place split off."""

from __future__ import annotations

import re

_MAX = 240
_IN_DOCUMENT = re.compile(r"^(?P<message>.*) - at `\$\.?(?P<place>.*)`$", re.DOTALL)
_IN_TEXT = re.compile(r"^(?P<message>.*) \(at (?P<place>line \d+, column \d+|end of document)\)$", re.DOTALL)


def explain(error: Exception, what: str) -> tuple[str, str]:
    """Return the message of *error*, which a decoder raised about the document *what*, and its place.

    Messages quote what was read, so that names chosen by strangers stand in them: see `excerpt`.
    """
    text = str(error)
    match = _IN_DOCUMENT.match(text) or _IN_TEXT.match(text)
    if match is None:
        return excerpt(text), what
    return excerpt(match["message"]), f"{what}: {excerpt(match['place'])}"


def excerpt(text: str, limit: int = _MAX) -> str:
    """Return *text* on one line: unprintable characters escaped, cut after *limit* characters."""
    shown = "".join(one if one.isprintable() else repr(one)[1:-1] for one in text[:limit])
    return shown if len(text) <= limit else f"{shown}…"
