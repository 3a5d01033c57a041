"""The kernel's command line: which address it names for node.toml. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from ec_provision.errors import CommandLineError

ADDRESS = "ec.node"
PIN = "ec.node.sha256"

# As the kernel's own isspace, which knows Latin-1.
_SPACES = " \t\n\v\f\r\xa0"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PRINTABLE = re.compile(r"[!-~]+")
_PLACE = "kernel command line"
_MAX_LENGTH = 2048


@dataclass(frozen=True)
class Address:
    """Where node.toml is fetched from. *sha256* pins its bytes."""

    url: str
    sha256: str | None = None

    @property
    def shown(self) -> str:
        """The address without its query."""
        return self.url.partition("?")[0]


def parse(line: bytes) -> dict[str, str]:
    """Return the parameters of *line*, without those that go to the first program (after `--`).

    Done as the kernel does it (`next_arg` and `parse_args`): quotes keep spaces together wherever they stand, the ones
    around a value or a whole word are taken off, the last of two equal names counts. A name without a value is not
    told from one with an empty value.
    """
    text = line.decode("latin-1")
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        if text[at] in _SPACES:
            at += 1
            continue
        word, quoted, at = _word(text, at)
        # A sign of equality at the very beginning is part of the name.
        equals = word.find("=", 1)
        if equals < 0:
            name, value = word.removesuffix('"') if quoted else word, ""
            if name == "--":
                break
        else:
            name, value = word[:equals], word[equals + 1 :]
            if quoted or value.startswith('"'):
                value = value.removeprefix('"').removesuffix('"')
        found[name] = value
    return found


def _word(text: str, at: int) -> tuple[str, bool, int]:
    """Return the word that begins at *at* without the quote in front of it, whether one was there, and its end."""
    quoted = text[at] == '"'
    start = at = at + quoted
    inside = quoted
    while at < len(text) and (inside or text[at] not in _SPACES):
        inside ^= text[at] == '"'
        at += 1
    return text[start:at], quoted, at


def address_of(line: bytes) -> Address | None:
    """Return the address that the command line names, None when it names none. Raises `CommandLineError`.

    Plain http is accepted only together with the digest of what is expected: anybody on the way could write the keys
    that root is entered with. An empty `ec.node=` switches an earlier one off.
    """
    parameters = parse(line)
    url, pin = parameters.get(ADDRESS, ""), parameters.get(PIN, "").lower()
    if not url:
        return None
    if pin and not _SHA256.fullmatch(pin):
        raise CommandLineError(f"{PIN} is no SHA-256 in hexadecimal digits", place=_PLACE, hint="sha256sum node.toml")
    if not _PRINTABLE.fullmatch(url) or len(url) > _MAX_LENGTH:
        raise _bad("is no address")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise _bad("is no address") from None
    if parts.scheme not in ("http", "https") or not host or parts.fragment:
        raise _bad("is no address of the web")
    if "@" in parts.netloc:
        raise _bad("holds a user or a password, which anybody on the node can read")
    if parts.scheme == "http" and not pin:
        raise _bad(f"is http:// without {PIN}", hint=f"use https://, or pin the file: {PIN}=$(sha256sum node.toml)")
    return Address(url, pin or None)


def _bad(what: str, hint: str = f"{ADDRESS}=https://boot.example.org/nodes/runner-7.toml") -> CommandLineError:
    return CommandLineError(f"{ADDRESS} {what}", place=_PLACE, hint=hint)
