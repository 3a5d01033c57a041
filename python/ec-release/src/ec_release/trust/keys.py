"""Private keys: Ed25519, one to a file, PKCS#8 PEM without passphrase, readable by the owner alone.

Which role a key serves is said by the root metadata, not by the file's name: the name is for people.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from securesystemslib.signer import CryptoSigner, SSlibKey

from ec_release.errors import KeyFileError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ec_release.trust.roles import Role

_MAX_PEM = 16 << 10


@dataclass
class KeyRing:
    """Private keys at hand, by key identifier, and the file each came from."""

    signers: dict[str, CryptoSigner] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)

    def add(self, signer: CryptoSigner, path: Path) -> None:
        """Put *signer*, read from *path*, on the ring."""
        self.signers[signer.public_key.keyid] = signer
        self.files[signer.public_key.keyid] = path


def load_ring(directories: Iterable[Path]) -> KeyRing:
    """Return every key in `*.pem` files of *directories*. Raises `KeyFileError`."""
    ring = KeyRing()
    for directory in directories:
        if not directory.is_dir():
            raise KeyFileError("is no directory", place=str(directory), hint="name the directory that holds the keys")
        for path in sorted(directory.glob("*.pem")):
            ring.add(load_private(path), path)
    return ring


def load_private(path: Path) -> CryptoSigner:
    """Return the key in *path*. Raises `KeyFileError`, also for a file that others may read."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            data = file.read(_MAX_PEM)
    except OSError as error:
        raise KeyFileError(f"cannot be read: {error.strerror}", place=str(path)) from error
    if not stat.S_ISREG(found.st_mode):
        raise KeyFileError("is no regular file", place=str(path))
    if found.st_mode & 0o077:
        raise KeyFileError(
            f"may be read by others (mode {stat.S_IMODE(found.st_mode):04o})",
            place=str(path),
            hint=f"chmod 600 {path}; if others did read it, rotate the key: `ec-release trust rotate`",
        )
    return CryptoSigner(parse_private(data, str(path)))


def parse_private(data: bytes, place: str) -> Ed25519PrivateKey:
    """Return the key that the PEM *data* holds; *place* is named when it holds none. Raises `KeyFileError`."""
    try:
        key = load_pem_private_key(data, None)
    except TypeError as error:
        raise KeyFileError(
            "is encrypted", place=place, hint="decrypt it with `openssl pkey` onto a disk in memory"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError("is no PKCS#8 private key in PEM", place=place) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError("is no Ed25519 key", place=place, hint="`ec-release trust key` makes one")
    return key


def load_public(path: Path) -> SSlibKey:
    """Return the public key in *path* (PEM, as `ec-release trust key` writes it). Raises `KeyFileError`."""
    try:
        key = load_pem_public_key(path.read_bytes()[:_MAX_PEM])
    except OSError as error:
        raise KeyFileError(f"cannot be read: {error.strerror}", place=str(path)) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError("is no public key in PEM", place=str(path)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError("is no Ed25519 key", place=str(path))
    return SSlibKey.from_crypto(key)


def new_file(directory: Path, role: Role) -> Path:
    """Return the next free name for a key of *role*: ``OFFLINE-root-1.pem``, ``targets-2.pem``."""
    stem = f"OFFLINE-{role}" if role == "root" else role
    pattern = re.compile(rf"{re.escape(stem)}-([0-9]+)\.pem")
    taken = [int(match[1]) for path in directory.iterdir() if (match := pattern.fullmatch(path.name))]
    return directory / f"{stem}-{max(taken, default=0) + 1}.pem"


def generate(path: Path) -> CryptoSigner:
    """Make a key and write it to *path*, which must not exist. Raises `KeyFileError`."""
    signer = CryptoSigner.generate_ed25519()
    aside = path.with_name(f".{path.name}.new")
    try:
        # Never readable by others, never half a key under its name, never over another key: link() does not overwrite.
        aside.unlink(missing_ok=True)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(signer.private_bytes)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(aside)
        aside.unlink()
    except OSError as error:
        raise KeyFileError(f"cannot be written: {error.strerror}", place=str(path)) from error
    return signer
