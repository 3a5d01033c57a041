"""`ec-verify key`: who this node is."""

from __future__ import annotations

import sys

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ec_verify.commands.options import Common
from ec_verify.state import State


def key(*, common: Common = Common()) -> int:
    """Print this node's public key (PEM), with which its reports are verified. Made at first use.

    With --json also its identifier, and the bare key in hexadecimal.
    """
    settings = common.settings()
    public = State(settings.config.state).key().public_key
    bare: str = public.keyval["public"]
    pem = (
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(bare))
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    if common.json:
        found = {"node": settings.config.name, "keyid": public.keyid, "public": bare, "pem": pem}
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        sys.stdout.write(pem)
    return 0
