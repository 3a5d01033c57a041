"""`ec-verify key`: who this node is."""

from __future__ import annotations

import sys

import msgspec

from ec_verify.commands.options import Common
from ec_verify.state import State


def key(*, common: Common = Common()) -> int:
    """Print this node's public key (PEM), with which its reports are verified. Made at first use."""
    settings = common.settings()
    public = State(settings.config.state).key().public_key
    pem = public.keyval["public"]
    if common.json:
        found = {"node": settings.config.node, "keyid": public.keyid, "public": pem}
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        sys.stdout.write(pem if pem.endswith("\n") else f"{pem}\n")
    return 0
