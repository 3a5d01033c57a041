"""Secrets that are shown once: made from the system's randomness, kept as a hash, found by an identifier.

A secret has 256 random bits: one round of SHA-256 is enough, for there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

API: Final = "ecd"
"""Prefix of API tokens, by which scanners find what leaked."""
ENROLMENT: Final = "ece"
"""Prefix of one-time tokens of nodes."""

_TOKEN: Final = re.compile(r"(?P<prefix>ec[de])_(?P<id>[0-9a-f]{16})_(?P<secret>[A-Za-z0-9_-]{43})")


@dataclass(frozen=True)
class Secret:
    """A token: `<prefix>_<id>_<secret>`. Its repr does not show the secret."""

    prefix: str
    id: str
    secret: str = field(repr=False)

    @classmethod
    def generate(cls, prefix: str) -> Secret:
        """Make a new one."""
        return cls(prefix, secrets.token_hex(8), secrets.token_urlsafe(32))

    @classmethod
    def parse(cls, text: str, prefix: str) -> Secret | None:
        """Return the token that *text* is, None when it has another form or prefix."""
        match = _TOKEN.fullmatch(text)
        if match is None or match["prefix"] != prefix:
            return None
        return cls(prefix, match["id"], match["secret"])

    def render(self) -> str:
        """Return what its owner keeps."""
        return f"{self.prefix}_{self.id}_{self.secret}"

    @property
    def hash(self) -> str:
        """What is kept of it."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def matches(self, kept: str) -> bool:
        """Whether *kept* is the hash of it, in constant time."""
        return hmac.compare_digest(self.hash, kept)
