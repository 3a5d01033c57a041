"""Why ffmpeg ended, from its last words: one clear line, and whose fault it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ec_closure.decoding import excerpt
from ec_node.errors import InputError, ProgramError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ec_closure.errors import EcError

_PREFIX = re.compile(r"^(\[[^\]]*\] )+")
_ADDRESS = re.compile(r"^\S*?://\S+: ")
_NOISE = ("Conversion failed", "Last message repeated", "Error opening input file", "Exiting normally")

# In this order: the first that fits says more than those below it.
_UNSUPPORTED = (
    (r"Decoder \(codec ([^)]*)\) not found", "there is no decoder for {}"),
    (r"Could not find tag for codec (\S+) in stream", "{} cannot be passed through in fragmented MP4"),
    (r"codec not currently supported in container", "a codec of the input cannot be passed through in fragmented MP4"),
    (r"Unknown encoder '([^']*)'", "this ffmpeg has no encoder {}"),
    (r"(does not contain any stream|Stream map '.*' matches no streams)", "the input has neither pictures nor sound"),
    (
        r"Could not write header .*incorrect codec parameters",
        "a codec of the input cannot be written to fragmented MP4",
    ),
)
_INPUT = (
    (r"Connection refused", "the connection is refused"),
    (r"(No route to host|Network is unreachable|Host is unreachable)", "there is no way to the host"),
    (r"(Failed to resolve hostname|Name or service not known|Temporary failure in name resolution)", "no such host"),
    (r"Connection timed out", "the connection timed out"),
    (r"Server returned (4\d\d[^(]*|5XX[^(]*|\d{3}[^(]*)", "the server answered: {}"),
    (r"HTTP error (\d{3}[^\n]*)", "the server answered {}"),
    (r"No such file or directory", "there is no such file"),
    (r"Permission denied", "it may not be read"),
    (r"Invalid data found when processing input", "it is nothing that ffmpeg can read"),
    (r"Input/output error", "reading fails"),
    (r"(Connection reset by peer|Broken pipe|End of file)", "the connection was cut"),
)
_HINT_CODEC = "see `ec-node check --input`; without passthrough, what ffmpeg can decode is encoded"


def ended(code: int, words: Sequence[str], *, what: str) -> EcError:
    """Return the error for an ffmpeg that ended with *code* (negative: a signal) after the lines *words*.

    *what* names the input.
    """
    text = "\n".join(words)
    for pattern, message in _UNSUPPORTED:
        if match := re.search(pattern, text):
            return UnsupportedError(_filled(message, match), place=what, hint=_HINT_CODEC)
    for pattern, message in _INPUT:
        if match := re.search(pattern, text):
            return InputError(
                _filled(message, match), place=what, hint="is it switched on, and does it allow this host?"
            )
    if code < 0:
        return ProgramError(f"ffmpeg was ended by signal {-code}", place=what)
    if code == 0:
        return InputError("the input ended", place=what)
    said = last_words(words)
    return ProgramError(f"ffmpeg ended with {code}{f': {said}' if said else ''}", place=what)


def last_words(words: Sequence[str]) -> str:
    """Return the last line that says something, without what ffmpeg puts in front of it, and without addresses."""
    for line in reversed(words):
        bare = _ADDRESS.sub("", _PREFIX.sub("", line.strip()))
        if bare and not bare.startswith(_NOISE):
            return excerpt(bare, 160)
    return ""


def _filled(message: str, match: re.Match[str]) -> str:
    return message.format(excerpt(match[1].strip(), 60)) if "{}" in message else message
