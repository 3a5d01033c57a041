"""DSSE envelopes: signed statements whose payload stays opaque bytes until it is verified.

Envelopes are ours only in how strictly they are read; signatures are securesystemslib's. Threshold
counting is by the bytes of public keys, never by key identifier (which is text chosen by strangers).
Source: the DSSE protocol v1.0. Not checked here: what the payload says.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Annotated

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from securesystemslib.dsse import Envelope as SslibEnvelope
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, Signature, Signer

from ec_closure import strict_json
from ec_closure.decoding import excerpt
from ec_closure.errors import BadInputError, TrustError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

MAX_BYTES = 64 << 20
MAX_SIGNATURES = 32


class EnvelopeError(BadInputError):
    """The envelope is malformed."""

    code = "dsse"


class SignatureError(TrustError):
    """Too few of the accepted keys signed."""

    code = "dsse.signature"


class EnvelopeSignature(msgspec.Struct, frozen=True, omit_defaults=True, rename={"public_key": "publicKey"}):
    """One signature: *sig* in base64. Unknown fields are ignored, as the protocol demands.

    *public_key* is ours: the Ed25519 key in hexadecimal, with which a receiver can tell who it does not know yet.
    """

    sig: str
    keyid: str = ""
    public_key: str = ""


class Envelope(msgspec.Struct, frozen=True, rename={"payload_type": "payloadType"}):
    """A signed payload, base64 in *payload*, of the media type *payload_type*."""

    payload: str
    payload_type: str
    signatures: Annotated[tuple[EnvelopeSignature, ...], msgspec.Meta(max_length=MAX_SIGNATURES)]


def sign(payload: bytes, payload_type: str, signers: Sequence[Signer], *, introduce: bool = False) -> bytes:
    """Return the envelope of *payload* as JSON bytes, signed by every one of *signers*.

    With *introduce*, each Ed25519 signature carries its public key: a report may be the first that its receiver hears
    of a node.
    """
    signed = SslibEnvelope(payload, payload_type, {}).pae()
    signatures = [signer.sign(signed) for signer in signers]
    envelope = Envelope(
        payload=base64.b64encode(payload).decode(),
        payload_type=payload_type,
        signatures=tuple(
            EnvelopeSignature(
                keyid=one.keyid,
                sig=base64.b64encode(bytes.fromhex(one.signature)).decode(),
                public_key=_introduction(signer) if introduce else "",
            )
            for signer, one in zip(signers, signatures, strict=True)
        ),
    )
    return msgspec.json.encode(envelope) + b"\n"


def read(data: bytes, *, what: str = "envelope") -> Envelope:
    """Return the envelope *data*, of which nothing is believed: for `verify`. Raises `JsonError` or `LimitError`."""
    return strict_json.decode(data, Envelope, what=what, max_bytes=MAX_BYTES, max_depth=8)


def verify(
    data: bytes | Envelope, payload_type: str, keys: Sequence[Key], *, threshold: int = 1, what: str = "envelope"
) -> bytes:
    """Return the payload of the envelope *data*, bytes or what `read` made of them, if enough of *keys* signed it.

    *threshold* distinct ones are enough.

    Raises `JsonError`, `LimitError` or `EnvelopeError` (malformed, or another payload type),
    `SignatureError`, and `UsageError` for a key that is none. The payload is not parsed: that is
    the caller's next step.
    """
    distinct: dict[bytes, list[Key]] = {}
    for key in keys:
        distinct.setdefault(_public_bytes(key), []).append(key)
    if not 1 <= threshold <= len(distinct):
        raise SignatureError(f"{threshold} signatures wanted of {len(distinct)} distinct keys", place=what)
    envelope = read(data, what=what) if isinstance(data, bytes) else data
    if envelope.payload_type != payload_type:
        found = excerpt(envelope.payload_type, 80)
        raise EnvelopeError(f"payload type {found!r} where {payload_type!r} is expected", place=what)
    payload = _b64(envelope.payload, f"{what}: payload")
    signatures = [_b64(one.sig, f"{what}: signatures[{at}]").hex() for at, one in enumerate(envelope.signatures)]
    signed = SslibEnvelope(payload, payload_type, {}).pae()
    accepted = sum(any(_is_signed(signed, signatures, key) for key in same) for same in distinct.values())
    if accepted < threshold:
        raise SignatureError(
            f"signed by {accepted} of the {threshold} keys that are needed",
            place=what,
            hint="the signer is not one that you accept, or the bytes were altered",
        )
    return payload


def claimed_signers(data: bytes, *, what: str = "envelope") -> tuple[EnvelopeSignature, ...]:
    """Return who the envelope *data* says has signed it: to look keys up by, never to believe.

    Raises `JsonError` or `LimitError`.
    """
    return read(data, what=what).signatures


def unverified(data: bytes, *, what: str = "envelope") -> bytes:
    """Return the payload of the envelope *data* though nobody is known to have signed it: to show, never to believe.

    Raises `JsonError`, `LimitError` or `EnvelopeError`.
    """
    envelope = read(data, what=what)
    return _b64(envelope.payload, f"{what}: payload")


def _introduction(signer: Signer) -> str:
    key = signer.public_key
    return str(key.keyval["public"]) if key.keytype == "ed25519" else ""


def _is_signed(signed: bytes, signatures: Sequence[str], key: Key) -> bool:
    # Every signature is tried: the identifier beside it is only a hint, and chosen by whoever made the envelope.
    for signature in signatures:
        try:
            key.verify_signature(Signature(key.keyid, signature), signed)
        except UnverifiedSignatureError:  # the root of VerificationError, too
            continue
        return True
    return False


def _public_bytes(key: Key) -> bytes:
    """Return what makes *key* that key, however it is spelled and called, and whatever scheme it is used with."""
    public = key.keyval.get("public", "")
    try:
        if key.keytype == "ed25519":
            loaded: PublicKeyTypes = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        else:
            loaded = load_pem_public_key(public.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(f"no public key of the type {key.keytype}", place=f"key {excerpt(key.keyid, 80)}") from error
    return loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _b64(text: str, place: str) -> bytes:
    try:
        # The protocol allows the alphabet of URLs too.
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError as error:
        raise EnvelopeError(f"not base64: {error}", place=place) from error
