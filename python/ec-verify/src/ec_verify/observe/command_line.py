r"""Command lines of units, cut into words as systemd does. See systemd.service(5), "Command lines".

A line may hold several commands with a lone `;` in between. The first word of each starts with any of `@-:+!|`; quotes
may stand anywhere in a word, and within and without them a backslash starts an escape of C.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ec_verify.observe.unit_syntax import BLANKS

_SIMPLE = dict(zip("abfnrtvs\\\"'", "\a\b\f\n\r\t\v \\\"'", strict=True))
_BYTE = re.compile(r"x([0-9A-Fa-f]{2})|([0-3][0-7]{2})")
_CHARACTER = re.compile(r"u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})")
_SEMICOLON = re.compile(r";(?:[ \t\n\r]+|$)")
_ESCAPED_SEMICOLON = re.compile(r"\\;(?:[ \t\n\r]+|$)")
_MOST = {"@": 1, "-": 1, ":": 1, "+": 1, "!": 2, "|": 1}
_LAST_CHARACTER = 0x10FFFF


class _UnbalancedError(Exception):
    """A quote that does not end: systemd reads no further."""


@dataclass(frozen=True)
class Command:
    """One command: *program* without its prefixes, specifiers (`%t`) unresolved, and what it is given.

    *shell* tells whether systemd gives the whole to the shell of a user (`|`, since release 258). *arguments* do not
    hold the name that the program is told (`@`).
    """

    program: str
    arguments: tuple[str, ...] = ()
    shell: bool = False


def parse(value: str) -> tuple[Command, ...]:
    """Return the commands that the value of an `Exec…=` holds: none where it takes back earlier ones.

    A quote that does not end ends the reading. What stands before it is returned, also where systemd would refuse the
    whole unit for it, or for a name that no program can have.
    """
    found: list[Command] = []
    at = _skip(value, 0)
    try:
        while at < len(value):
            first, at = _word(value, at)
            if first == ";":
                continue
            program, named, shell = _prefixes(first)
            given: list[str] = []
            found.append(Command(program, (), shell))
            at = _arguments(value, at, given)
            found[-1] = Command(program, tuple(given[named:]), shell)
    except _UnbalancedError:
        pass
    return tuple(found)


def words(value: str) -> tuple[str, ...]:
    """Return the words of a list, as that of `Environment=`; none from a quote on that does not end."""
    found: list[str] = []
    at = _skip(value, 0)
    try:
        while at < len(value):
            word, at = _word(value, at)
            found.append(word)
    except _UnbalancedError:
        pass
    return tuple(found)


def _arguments(value: str, at: int, found: list[str]) -> int:
    """Add the words up to a lone semicolon to *found*, and return where the next command starts."""
    while at < len(value):
        if match := _SEMICOLON.match(value, at):
            return match.end()
        if match := _ESCAPED_SEMICOLON.match(value, at):
            found.append(";")
            at = match.end()
            continue
        word, at = _word(value, at)
        found.append(word)
    return at


def _prefixes(word: str) -> tuple[str, bool, bool]:
    """Return the program, whether its own name for itself follows, and whether a shell gets all of it.

    Each prefix counts once, but `!!` is one too; and `+` excludes `!`.
    """
    seen = ""
    for character in word:
        others = {"+": "+!", "!": "+"}.get(character, character)
        if character not in "@-:+!|" or set(others) & set(seen) or seen.count(character) == _MOST[character]:
            break
        seen += character
    return word[len(seen) :], "@" in seen, "|" in seen


def _word(value: str, at: int) -> tuple[str, int]:
    """Return the word that starts at *at*, and where the next one does. Raises `_UnbalancedError`."""
    pieces: list[bytes] = []
    quote = ""
    while at < len(value):
        character = value[at]
        if character == "\\":
            piece, at = _escape(value, at + 1)
            pieces.append(piece)
            continue
        if character == quote:
            quote = ""
        elif quote:
            pieces.append(_encode(character))
        elif character in "\"'":
            quote = character
        elif character in BLANKS:
            break
        else:
            pieces.append(_encode(character))
        at += 1
    if quote:
        raise _UnbalancedError
    return b"".join(pieces).decode(errors="surrogateescape"), _skip(value, at)


def _escape(value: str, at: int) -> tuple[bytes, int]:
    """Return what the escape at *at* stands for, and what follows it; unknown ones stand for themselves."""
    if (match := _BYTE.match(value, at)) and (byte := int(match[1] or "0", 16) or int(match[2] or "0", 8)):
        return bytes((byte,)), match.end()
    if (match := _CHARACTER.match(value, at)) and 0 < (code := int(match[1] or match[2], 16)) <= _LAST_CHARACTER:
        return _encode(chr(code)), match.end()
    following = value[at : at + 1]
    return _encode(_SIMPLE.get(following, f"\\{following}")), at + 1


def _encode(character: str) -> bytes:
    """Return a character as its bytes; a byte that is no UTF-8 as itself."""
    try:
        return character.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return character.encode(errors="surrogatepass")


def _skip(value: str, at: int) -> int:
    while at < len(value) and value[at] in BLANKS:
        at += 1
    return at
