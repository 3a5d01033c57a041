"""Public keys as files that cosign, openssl and everybody else reads: SubjectPublicKeyInfo in PEM."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ec_closure import files
from ec_closure.errors import UsageError
from ec_release.errors import PublishedMetadataError

if TYPE_CHECKING:
    from pathlib import Path

    from securesystemslib.signer import Key
    from tuf.api.metadata import Root


def pem(key: Key) -> bytes:
    """Return the Ed25519 key *key* in PEM. Raises `PublishedMetadataError` for another."""
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.keyval["public"]))
    except ValueError as error:
        raise PublishedMetadataError(f"no Ed25519 key: {error}", place=f"key {key.keyid[:16]}") from error
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def by_name(root: Root) -> dict[str, bytes]:
    """Return the file of every key that *root* accepts, by name: ``targets-1.pem``, in the order of the root."""
    return {
        f"{name}-{number}.pem": pem(root.keys[keyid])
        for name, role in sorted(root.roles.items())
        for number, keyid in enumerate(role.keyids, 1)
    }


def write_public(directory: Path, root: Root) -> None:
    """Write them to *directory*. Raises `UsageError`; `PublishedMetadataError`."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, data in by_name(root).items():
            with files.replacing(directory / name, mode=0o644) as file:
                file.write(data)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", place=str(error.filename or directory)) from error
