"""Who signed an envelope. Pure: known keys in, a payload out. Verified first, parsed after.

Not checked here: whether the node may report, what the report says, and whether it was sent before.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from securesystemslib.signer import SSlibKey

from ec_closure import dsse, intoto
from ec_closure.dsse import SignatureError as NotSignedError
from ec_closure.errors import BadInputError, UsageError
from runner_dashboard.refusals import MalformedError, SignatureError, UnknownNodeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from securesystemslib.signer import Key

_PUBLIC = re.compile(r"[0-9a-f]{64}")
_ID_LENGTH = 32


@dataclass(frozen=True)
class Claim:
    """An *envelope*, and whom it names: bare public keys, and identifiers of keys. Nothing of it is believed."""

    envelope: dsse.Envelope
    public_keys: frozenset[str]
    keyids: frozenset[str]


@dataclass(frozen=True)
class Signed:
    """What the holder of *public_key* signed: the payload's bytes, not parsed yet."""

    public_key: str
    payload: bytes

    @cached_property
    def node(self) -> str:
        """The identifier of the node that signed it."""
        return node_id(self.public_key)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the payload: what makes a report that report, however its envelope is spelled."""
        return hashlib.sha256(self.payload).hexdigest()


def key_of(public_key: str) -> Key:
    """Return the Ed25519 key of 32 bytes in hexadecimal."""
    return SSlibKey(node_id(public_key), "ed25519", "ed25519", {"public": public_key})


def node_id(public_key: str) -> str:
    """Return what a node is called inside: half of the SHA-256 of its key."""
    return hashlib.sha256(bytes.fromhex(public_key)).hexdigest()[:_ID_LENGTH]


def claim(body: bytes) -> Claim:
    """Return whom the envelope *body* names. Raises `MalformedError`."""
    try:
        envelope = dsse.read(body)
    except BadInputError as error:
        raise MalformedError(str(error), hint="a DSSE envelope is expected, see docs/report-api.md") from error
    signers = envelope.signatures
    public = frozenset(one.public_key for one in signers if _PUBLIC.fullmatch(one.public_key))
    return Claim(envelope, public, frozenset(one.keyid for one in signers if one.keyid))


def verified(claimed: Claim, known: Iterable[str]) -> Signed:
    """Return what one of the public keys *known*, or else one that the envelope itself names, signed.

    Raises `MalformedError`, `SignatureError` when a key that is named did not sign these bytes, and `UnknownNodeError`
    when nobody can be asked.
    """
    keys = [*dict.fromkeys(known)]
    keys += sorted(claimed.public_keys.difference(keys))
    if not keys:
        raise UnknownNodeError(
            "no key that is known here is named",
            hint="enrol the node's key (`ec-verify key`), or let it send its reports with a verifier that names it",
        )
    for public_key in keys:
        try:
            payload = dsse.verify(claimed.envelope, intoto.PAYLOAD_TYPE, [key_of(public_key)], what="envelope")
        except NotSignedError:
            continue
        except UsageError:
            continue  # 32 bytes that are no point of the curve: nobody's key
        except BadInputError as error:
            raise MalformedError(str(error), hint="see docs/report-api.md") from error
        return Signed(public_key, payload)
    raise SignatureError(
        "the signature is not over these bytes by the key that is named", hint="the envelope was altered on its way"
    )
