"""Nonces: handed out without remembering them, for the signature on them remembers who asked and when.

A nonce is ``time, random, who asked, signature``. *Who asked* is a hash of the token that the request carried. Used
ones are found in the reports that brought them back.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from runner_dashboard.identity.keys import SigningKeys

_TIME = 8
_ASKER = 16
_HEAD = _TIME + 16 + _ASKER
_MAC = 32
_PURPOSE = "nonce"

Freshness = Literal["fresh", "late", "strange"]


class Nonces:
    """Nonces that are good for *lifetime* seconds."""

    def __init__(self, keys: SigningKeys, lifetime: int) -> None:
        self._keys = keys
        self._lifetime = lifetime

    def hand_out(self, now: int, token: str) -> str:
        """Return a new nonce for who carries *token*, the empty text for nobody in particular."""
        head = now.to_bytes(_TIME, "big") + secrets.token_bytes(16) + _asker(token)
        return base64.urlsafe_b64encode(head + self._keys.mac(now, _PURPOSE, head)).decode()

    def judge(self, now: int, nonce: str | None, token: str) -> Freshness:
        """Tell whether a report with *nonce*, sent with *token*, is fresh.

        Late is one without a nonce, with one that ran out while the report waited, and with one that was asked for with
        another token. Strange is one that was never handed out. Not checked: whether it was used before.
        """
        if nonce is None:
            return "late"
        try:
            raw = base64.b64decode(nonce, altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        head, mac = raw[:_HEAD], raw[_HEAD:]
        if len(raw) != _HEAD + _MAC or not self._keys.verifies(now, _PURPOSE, head, mac):
            return "strange"
        age = now - int.from_bytes(head[:_TIME], "big")
        asked_by_it = hmac.compare_digest(head[-_ASKER:], _asker(token))
        return "fresh" if asked_by_it and age <= self._lifetime else "late"


def _asker(token: str) -> bytes:
    return hashlib.sha256(b"asker " + token.encode()).digest()[:_ASKER]
