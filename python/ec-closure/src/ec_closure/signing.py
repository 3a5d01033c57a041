"""Nix's signatures on store paths: Ed25519 over a path, the hash and size of its NAR, and its references.

Two things are done otherwise than in Nix, on purpose. Signers are counted by the *bytes* of their public keys: Nix
counts names, so one key under two names passes for two (pitfall P37). And two keys with one name are refused when a
keyring is built, since names are text that anyone may choose. Source: Nix's libstore/crypto.cc and path-info.cc.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ec_closure.errors import BadInputError
from ec_closure.store_path import STORE_DIR, StorePath

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ec_closure.hashes import Hash

MAX_SIGNATURES: Final = 100
"""How many signatures of one path are looked at: each is a public-key operation."""

_NAME: Final = re.compile(r"[!-9;-~]{1,255}")
_KEY_SIZE: Final = 32
_SIGNATURE_SIZE: Final = 64


class KeyFormatError(BadInputError):
    """Text is not a Nix key or signature, or a keyring contradicts itself. Never quotes a secret."""

    code = "key"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key and the name that signatures call it by."""

    name: str
    data: bytes
    _key: Ed25519PublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.data) != _KEY_SIZE:
            raise KeyFormatError(f"the public key {self.name} has {len(self.data)} bytes, not {_KEY_SIZE}")
        object.__setattr__(self, "_key", Ed25519PublicKey.from_public_bytes(self.data))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``name:base64``, as in Nix's ``trusted-public-keys``. Raises `KeyFormatError`."""
        name, data = _split(text.strip(), "a public key")
        return cls(name, data)

    def render(self) -> str:
        """Return ``name:base64``."""
        return _join(self.name, self.data)

    def verifies(self, fingerprint: bytes, signature: bytes) -> bool:
        """Whether *signature*, 64 bytes without a name, is this key's on *fingerprint*."""
        try:
            self._key.verify(signature, fingerprint)
        except InvalidSignature:
            return False
        return True

    def __str__(self) -> str:
        return self.render()


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A secret key; its text and its repr show no secret bytes unless `render` is called."""

    name: str
    _seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self._seed) != _KEY_SIZE:
            raise KeyFormatError(f"the secret key {self.name} has a seed of {len(self._seed)} bytes, not {_KEY_SIZE}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``name:base64`` of seed and public key, as in Nix's secret key files. Raises `KeyFormatError`."""
        name, data = _split(text.strip(), "a secret key")
        if len(data) != 2 * _KEY_SIZE:
            raise KeyFormatError(
                f"the secret key {name} has {len(data)} bytes, not {2 * _KEY_SIZE}",
                hint="a public key is not enough here" if len(data) == _KEY_SIZE else None,
            )
        key = cls(name, data[:_KEY_SIZE])
        if key.public.data != data[_KEY_SIZE:]:
            raise KeyFormatError(f"the two halves of the secret key {name} do not belong together")
        return key

    @classmethod
    def generate(cls, name: str) -> Self:
        """Make a new key from the system's randomness."""
        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    @property
    def public(self) -> PublicKey:
        """The public key, under the same name."""
        return PublicKey(self.name, self._private.public_key().public_bytes_raw())

    @property
    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._seed)

    def render(self) -> str:
        """Return the contents of a secret key file."""
        return _join(self.name, self._seed + self.public.data)

    def sign(self, fingerprint: bytes) -> str:
        """Return the signature on *fingerprint* as ``name:base64``."""
        return _join(self.name, self._private.sign(fingerprint))


class Keyring:
    """Public keys by name. Two keys of one name are refused; one key under two names is one signer."""

    def __init__(self, keys: Iterable[PublicKey]) -> None:
        self._keys: dict[str, PublicKey] = {}
        for key in keys:
            if self._keys.setdefault(key.name, key).data != key.data:
                raise KeyFormatError(
                    f"two different public keys are called {key.name}", hint="give each key a name of its own"
                )

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """Read public keys as ``name:base64``. Raises `KeyFormatError`."""
        return cls(PublicKey.parse(text) for text in texts)

    def get(self, name: str) -> PublicKey | None:
        """Return the key called *name*."""
        return self._keys.get(name)

    def __iter__(self) -> Iterator[PublicKey]:
        return iter(self._keys.values())

    def __len__(self) -> int:
        """Return how many different keys there are, whatever they are called."""
        return len({key.data for key in self})


def fingerprint(
    path: str, nar_hash: Hash, nar_size: int, references: Iterable[str], store_dir: str = STORE_DIR
) -> bytes:
    """Return what is signed for a store path: ``1;<path>;sha256:<nix32>;<size>;<reference>,<reference>``.

    *path* and *references* are full store paths, the path itself among them if it refers to itself. Deriver, content
    address and signatures are *not* covered (pitfall P7). Raises `StorePathError` for a path outside *store_dir*,
    `KeyFormatError` for a hash other than SHA-256 or a size of zero, which Nix does not sign either.
    """
    if nar_hash.algorithm != "sha256":
        raise KeyFormatError(f"only SHA-256 is signed, not {nar_hash.algorithm}", place=path)
    if nar_size <= 0:
        raise KeyFormatError("a path without a NAR size cannot be signed", place=path)
    own = StorePath.parse(path, store_dir).within(store_dir)
    sorted_references = sorted({StorePath.parse(reference, store_dir).within(store_dir) for reference in references})
    return f"1;{own};{nar_hash.nix32};{nar_size};{','.join(sorted_references)}".encode()


def valid_signers(fingerprint: bytes, signatures: Iterable[str], keys: Keyring) -> frozenset[bytes]:
    """Return the public keys, as bytes, of which *signatures* holds a valid one on *fingerprint*.

    So the length of the result is the number of different keys that signed (P37). A signature that is malformed or
    names a key that is not in *keys* says nothing and is passed over, since strangers may add such.
    """
    signers: set[bytes] = set()
    for text in islice(signatures, MAX_SIGNATURES):
        key = keys.get(text.partition(":")[0])
        if key is None or key.data in signers:
            continue
        try:
            _, signature = _split(text, "a signature")
        except KeyFormatError:
            continue
        if len(signature) == _SIGNATURE_SIZE and key.verifies(fingerprint, signature):
            signers.add(key.data)
    return frozenset(signers)


def false_signatures(fingerprint: bytes, signatures: Iterable[str], keys: Keyring) -> list[str]:
    """Return the names of keys in *keys* that *signatures* use for what is no signature of theirs on *fingerprint*.

    Signatures by other keys are passed over, for nothing is known about them, and so is what `is_well_formed` refuses.
    """
    found = []
    for text in islice(signatures, MAX_SIGNATURES):
        key = keys.get(text.partition(":")[0])
        if key is None or not is_well_formed(text):
            continue
        if not key.verifies(fingerprint, _split(text, "a signature")[1]):
            found.append(key.name)
    return found


def is_well_formed(signature: str) -> bool:
    """Whether *signature* is written as Nix writes one: ``name:base64`` of 64 bytes."""
    try:
        name, data = _split(signature, "a signature")
    except KeyFormatError:
        return False
    return bool(_NAME.fullmatch(name)) and len(data) == _SIGNATURE_SIZE


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise KeyFormatError(f"{name[:40]!r} is no name for a key", hint="use printable ASCII without ':' and blanks")


def _split(text: str, what: str) -> tuple[str, bytes]:
    name, separator, encoded = text.partition(":")
    if not separator:
        raise KeyFormatError(f"{what} is written as name:base64")
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise KeyFormatError(f"{what} called {name[:40]!r} is not base64") from error
    if base64.b64encode(data).decode("ascii") != encoded:
        raise KeyFormatError(f"{what} called {name[:40]!r} is not base64 as it is usually written")
    return name, data


def _join(name: str, data: bytes) -> str:
    return f"{name}:{base64.b64encode(data).decode('ascii')}"
