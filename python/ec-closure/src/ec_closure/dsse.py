"""DSSE envelopes: signed statements whose payload stays opaque bytes until it is verified.

Envelopes are ours only in how strictly they are read; signatures are securesystemslib's. Threshold
counting is by distinct public key, never by key identifier (an identifier is attacker-chosen text).
Source: the DSSE protocol v1.0. Not checked here: what the payload says.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated

import msgspec
from securesystemslib.dsse import Envelope as SslibEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import Key, Signature, Signer

from ec_closure import strict_json
from ec_closure.errors import BadInputError, TrustError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BYTES = 64 << 20
MAX_SIGNATURES = 32


class EnvelopeError(BadInputError):
    """The envelope is malformed."""

    code = "dsse"


class SignatureError(TrustError):
    """Too few of the accepted keys signed."""

    code = "dsse.signature"


class EnvelopeSignature(msgspec.Struct, frozen=True):
    """One signature: *sig* in base64. Unknown fields are ignored, as the protocol demands."""

    sig: str
    keyid: str = ""


class Envelope(msgspec.Struct, frozen=True, rename={"payload_type": "payloadType"}):
    """A signed payload, base64 in *payload*, of the media type *payload_type*."""

    payload: str
    payload_type: str
    signatures: Annotated[tuple[EnvelopeSignature, ...], msgspec.Meta(max_length=MAX_SIGNATURES)]


def sign(payload: bytes, payload_type: str, signers: Sequence[Signer]) -> bytes:
    """Return the envelope of *payload* as JSON bytes, signed by every one of *signers*."""
    envelope = SslibEnvelope(payload, payload_type, {})
    for signer in signers:
        envelope.sign(signer)
    return (
        msgspec.json.encode(
            Envelope(
                payload=base64.b64encode(payload).decode(),
                payload_type=payload_type,
                signatures=tuple(
                    EnvelopeSignature(keyid=keyid, sig=base64.b64encode(bytes.fromhex(signature.signature)).decode())
                    for keyid, signature in envelope.signatures.items()
                ),
            )
        )
        + b"\n"
    )


def verify(data: bytes, payload_type: str, keys: Sequence[Key], *, threshold: int = 1, what: str = "envelope") -> bytes:
    """Return the payload of the envelope *data* if *threshold* distinct *keys* signed it.

    Raises `EnvelopeError` (malformed, or another payload type) or `SignatureError`. The payload is
    not parsed: that is the caller's next step.
    """
    envelope = strict_json.decode(data, Envelope, what=what, max_bytes=MAX_BYTES, max_depth=8)
    if envelope.payload_type != payload_type:
        raise EnvelopeError(f"payload type {envelope.payload_type!r} where {payload_type!r} is expected", place=what)
    distinct = {tuple(sorted(key.keyval.items())): key for key in keys}
    if not 1 <= threshold <= len(distinct):
        raise SignatureError(f"{threshold} signatures wanted of {len(distinct)} distinct keys", place=what)
    payload = _b64(envelope.payload, f"{what}: payload")
    found = SslibEnvelope(payload, payload_type, {})
    accepted = 0
    for key in distinct.values():
        # Every signature is tried with every key: the identifier beside a signature is only a hint.
        for position, entry in enumerate(envelope.signatures):
            signature = Signature(key.keyid, _b64(entry.sig, f"{what}: signatures[{position}]").hex())
            try:
                key.verify_signature(signature, found.pae())
            except (VerificationError, ValueError):
                continue
            accepted += 1
            break
    if accepted < threshold:
        raise SignatureError(
            f"signed by {accepted} of the {threshold} keys that are needed",
            place=what,
            hint="the signer is not one that you accept, or the bytes were altered",
        )
    return payload


def _b64(text: str, place: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EnvelopeError(f"not base64: {error}", place=place) from error
