"""Making the evidence bundle of one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ec_closure import archive, canonical, evidence
from ec_verify.evidence.document import document, encode

if TYPE_CHECKING:
    from securesystemslib.signer import Key

    from ec_verify.config import Settings
    from ec_verify.judge import Case


@dataclass(frozen=True)
class Bundle:
    """A bundle that waits for its report, which cites *digest*."""

    members: dict[str, bytes]
    digest: str

    def sealed(self, report: bytes) -> bytes:
        """Return the bundle with the signed *report* in it."""
        return archive.pack(self.members | {evidence.REPORT: report})


def collect(settings: Settings, case: Case, key: Key) -> Bundle:
    """Return the bundle of *case*, of the node whose public *key* is given."""
    record = case.trust.record
    manifests = record.manifests if record is not None else {}
    members = {
        evidence.CASE: canonical.compress(encode(document(case))),
        evidence.NODE_KEY: pem_of(key),
        evidence.POLICY: settings.policy_bytes,
        evidence.CONFIG: settings.config_bytes,
        **{evidence.manifest_member(position): data for position, data in enumerate(manifests.values())},
    }
    if record is not None:
        members |= {f"{evidence.TRUST}{name}": data for name, data in record.files.items()}
    index = evidence.index_of(
        members,
        tuple(manifests),
        has_manifest=record is not None and record.has_manifest,
        refreshed=record.refreshed if record is not None else None,
    )
    return Bundle(members | {evidence.INDEX: index}, canonical.digest(index))


def pem_of(key: Key) -> bytes:
    """Return an Ed25519 public *key* as PEM."""
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.keyval["public"]))
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
