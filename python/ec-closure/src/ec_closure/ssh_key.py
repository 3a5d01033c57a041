"""Public keys of SSH, as lines of `authorized_keys`: parsed, and held to what a node's data may say.

A line is more than a key: its options can run programs, set the environment or trust whole authorities. Those
that only narrow what a key may do are accepted, and the narrowest of what OpenSSH reads (sshd(8)). Not checked: that
a point of an elliptic curve lies on it, or that anybody holds the private half.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_closure.decoding import excerpt
from ec_closure.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_LENGTH = 8192
_MAX_COMMENT = 256
_MAX_SHOWN = 40
_RSA_BITS = range(2048, 16385)
_MAX_EXPONENT_BITS = 64
_CURVES = {"nistp256": 32, "nistp384": 48, "nistp521": 66}
_ED25519_BYTES = 32
_FLAGS = frozenset(
    {
        "restrict", "no-agent-forwarding", "no-port-forwarding", "no-pty", "no-user-rc", "no-X11-forwarding",
        "agent-forwarding", "port-forwarding", "pty", "X11-forwarding", "verify-required",
    }
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9-]+")
_OPTION = re.compile(r'(?P<name>[A-Za-z0-9-]+)(?:="(?P<value>[^"\\]*)")?(?:,(?=.)|$)')
_FROM = re.compile(r"!?[A-Za-z0-9.:*?_-]+(/[0-9]{1,3})?")
_EXPIRY = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


class SshKeyError(BadInputError):
    """A line is not a public key that a node accepts."""

    code = "ssh-key"


@dataclass(frozen=True)
class SshKey:
    """One line of `authorized_keys`. *blob* is the key as it travels; *options* are as they were written."""

    kind: str
    blob: bytes
    options: str = ""
    comment: str = ""

    @property
    def fingerprint(self) -> str:
        """What `ssh-keygen -l` prints: `SHA256:` and a digest."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    def render(self) -> str:
        """Return the line, without a line break."""
        parts = (self.options, self.kind, base64.b64encode(self.blob).decode(), self.comment)
        return " ".join(part for part in parts if part)


def parse(line: str) -> SshKey:
    """Parse one line: options if any, type, key in base64, comment if any. Raises `SshKeyError`.

    Messages never quote the key itself: what was pasted here by mistake may be a private one.
    """
    if len(line) > MAX_LENGTH:
        raise SshKeyError(f"longer than the {MAX_LENGTH} characters that are accepted")
    if not line.isprintable():
        raise SshKeyError("has a line break or another character that does not print", hint="one key is one line")
    if "PRIVATE KEY" in line:
        raise SshKeyError("is a private key", hint="write the line of the .pub file, and make a new pair")
    words = line.split(" ")
    options = ""
    if words[0] and words[0] not in _KINDS:
        options = words.pop(0)
        _check_options(options)
    if not words or words[0] not in _KINDS:
        raise SshKeyError(
            "names no type of key that is known here", hint=f"known are {', '.join(_KINDS)}; one space between words"
        )
    kind, encoded, comment = words[0], words[1] if words[1:] else "", " ".join(words[2:])
    if len(comment) > _MAX_COMMENT:
        raise SshKeyError(f"has a comment of more than {_MAX_COMMENT} characters")
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SshKeyError("is not valid base64", hint="copy the whole line of the .pub file") from error
    if not blob or base64.b64encode(blob).decode() != encoded:
        raise SshKeyError("is not valid base64", hint="copy the whole line of the .pub file")
    _check_blob(kind, blob)
    return SshKey(kind, blob, options, comment.strip())


def _check_blob(kind: str, blob: bytes) -> None:
    fields = _fields(blob)
    if fields is None or not fields:
        raise SshKeyError("is cut off or damaged", hint="copy the whole line of the .pub file")
    if fields[0] != kind.encode():
        raise SshKeyError(f"says {kind}, but holds a key of another type")
    if not _KINDS[kind](fields[1:]):
        raise SshKeyError(f"is no {kind} key that is accepted here", hint="make one with `ssh-keygen -t ed25519`")


def _fields(blob: bytes) -> list[bytes] | None:
    """Return the strings that *blob* consists of (RFC 4251, section 5), None when they do not end where it ends."""
    found, at = [], 0
    while at < len(blob):
        end = at + 4 + int.from_bytes(blob[at : at + 4], "big")
        if at + 4 > len(blob) or end > len(blob):
            return None
        found.append(blob[at + 4 : end])
        at = end
    return found


def _ed25519(fields: list[bytes]) -> bool:
    return [len(field) for field in fields] == [_ED25519_BYTES]


def _sk_ed25519(fields: list[bytes]) -> bool:
    return len(fields) == 2 and _ed25519(fields[:1]) and _application(fields[1])  # noqa: PLR2004 - key, application


def _ecdsa(curve: str) -> Callable[[list[bytes]], bool]:
    """Return the check of a point that is not compressed, which alone OpenSSH reads."""
    length = 1 + 2 * _CURVES[curve]
    return lambda fields: (
        len(fields) == 2 and fields[0] == curve.encode() and len(fields[1]) == length and fields[1][:1] == b"\x04"  # noqa: PLR2004 - curve, point
    )


def _sk_ecdsa(fields: list[bytes]) -> bool:
    return len(fields) == 3 and _ecdsa("nistp256")(fields[:2]) and _application(fields[2])  # noqa: PLR2004 - … and application


def _rsa(fields: list[bytes]) -> bool:
    if len(fields) != 2 or not all(map(_is_positive, fields)):  # noqa: PLR2004 - exponent, modulus
        return False
    exponent, modulus = (int.from_bytes(field, "big") for field in fields)
    odd = bool(exponent & modulus & 1)
    return odd and 1 < exponent < 1 << _MAX_EXPONENT_BITS and modulus.bit_length() in _RSA_BITS


def _is_positive(field: bytes) -> bool:
    """Tell whether *field* is a positive number in its one spelling (mpint of RFC 4251)."""
    return bool(field) and field[0] < 0x80 and (field[0] > 0 or (len(field) > 1 and field[1] >= 0x80))  # noqa: PLR2004 - the sign


def _application(field: bytes) -> bool:
    return 0 < len(field) <= _MAX_COMMENT and all(0x21 <= byte <= 0x7E for byte in field)  # noqa: PLR2004 - printable ASCII


_KINDS: dict[str, Callable[[list[bytes]], bool]] = {
    "ssh-ed25519": _ed25519,
    "sk-ssh-ed25519@openssh.com": _sk_ed25519,
    "ecdsa-sha2-nistp256": _ecdsa("nistp256"),
    "ecdsa-sha2-nistp384": _ecdsa("nistp384"),
    "ecdsa-sha2-nistp521": _ecdsa("nistp521"),
    "sk-ecdsa-sha2-nistp256@openssh.com": _sk_ecdsa,
    "ssh-rsa": _rsa,
}


def _check_options(options: str) -> None:
    """Accept options that give a key no more than a line without options would. Raises `SshKeyError`."""
    at = 0
    seen: set[str] = set()
    while at < len(options):
        named = _NAME.match(options, at)
        name = named[0] if named is not None else ""
        if name not in _FLAGS | {"from", "expiry-time"}:
            raise SshKeyError(
                f"begins with {excerpt(options[at:], _MAX_SHOWN)!r}, neither a type of key nor an option accepted here",
                hint=f"options are {', '.join(sorted(_FLAGS))}, from and expiry-time",
            )
        match = _OPTION.match(options, at)
        if match is None or (match["value"] is None) != (name in _FLAGS):
            raise SshKeyError(f"the option {name} is not well formed", hint='from="10.0.0.0/8",restrict ssh-ed25519 …')
        if name in seen:
            raise SshKeyError(f"the option {name} stands twice")
        if name == "from":
            _check_from(match["value"])
        if name == "expiry-time" and not _is_time(match["value"].removesuffix("Z")):
            raise SshKeyError("the option expiry-time is no time", hint='expiry-time="20271231Z"')
        seen.add(name)
        at = match.end()


def _check_from(value: str) -> None:
    for pattern in value.split(","):
        match = _FROM.fullmatch(pattern)
        if match is None:
            raise SshKeyError("the option from names no address", hint='from="10.0.0.0/8,*.example.org"')
        if match[1]:
            try:
                ipaddress.ip_network(pattern.removeprefix("!"))
            except ValueError as error:
                # sshd refuses the whole line, which nobody sees until nobody can log in.
                raise SshKeyError(f"the option from: {excerpt(str(error), 80)}") from error


def _is_time(digits: str) -> bool:
    # Python's reader of times would also take other scripts' digits, and numbers that are shorter than they must be.
    if not (digits.isascii() and digits.isdigit() and len(digits) in _EXPIRY):
        return False
    try:
        datetime.datetime.strptime(f"{digits}+0000", f"{_EXPIRY[len(digits)]}%z")
    except ValueError:
        return False
    return True
