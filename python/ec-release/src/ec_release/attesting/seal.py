"""The key of CI that signs targets, used for what people check: the check-sums, and provenance.

cosign takes Ed25519 keys and signatures as they are, see decision 0019.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Signature

from ec_closure.dsse import SignatureError
from ec_closure.errors import BadInputError
from ec_release.errors import MissingKeysError
from ec_release.trust.signing import short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from securesystemslib.signer import Key, Signer
    from tuf.api.metadata import Root

    from ec_release.trust.keys import KeyRing

SUFFIX = ".sig"
MAX_BYTES = 1 << 10


@dataclass(frozen=True)
class Seal:
    """Who may sign as targets: *keys* of whom *threshold* must, and those *signers* of them that are at hand."""

    keys: tuple[Key, ...]
    threshold: int
    signers: tuple[Signer, ...] = ()

    def sign(self, data: bytes) -> bytes:
        """Return the signature of the first signer on *data*, base64 on one line, as `cosign sign-blob` writes it."""
        signature = self.signers[0].sign(data).signature
        return base64.b64encode(bytes.fromhex(signature)) + b"\n"


def of_root(root: Root, ring: KeyRing | None = None) -> Seal:
    """Return who signs targets by *root*, with the signers on *ring*.

    Raises `MissingKeysError` when a ring is given and too few are on it.
    """
    role = root.roles["targets"]
    keys = tuple(root.keys[keyid] for keyid in role.keyids)
    if ring is None:
        return Seal(keys, role.threshold)
    signers = tuple(ring.signers[keyid] for keyid in role.keyids if keyid in ring.signers)
    if len(signers) < role.threshold:
        wanted = ", ".join(sorted(short(keyid) for keyid in role.keyids))
        raise MissingKeysError(
            f"{role.threshold} keys of the targets role are needed, of: {wanted}",
            hint="name the directory that holds them with --keys, which may be given more than once",
        )
    return Seal(keys, role.threshold, signers)


def verify(signature: bytes, data: bytes, keys: Sequence[Key], *, what: str) -> Key:
    """Return which of *keys* made *signature*, base64, on *data*. Raises `SignatureError`, `BadInputError`."""
    try:
        raw = base64.b64decode(signature.strip(), validate=True)
    except ValueError as error:
        raise BadInputError(f"not base64: {error}", place=what) from error
    for key in keys:
        try:
            key.verify_signature(Signature(key.keyid, raw.hex()), data)
        except UnverifiedSignatureError:
            continue
        return key
    raise SignatureError("is not signed by a key of the targets role", place=what)
