"""flake.lock: which inputs the flake has, and the hash that fixes each. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from ec_closure import strict_json
from ec_closure.content_address import source_store_path
from ec_closure.errors import BadInputError
from ec_closure.hashes import Hash, HashError
from ec_release.closure.errors import LockError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 16 << 20
_VERSIONS = (5, 6, 7)
_FORGES = {"github": ("github.com", ""), "gitlab": ("gitlab.com", ""), "sourcehut": ("git.sr.ht", "~")}


class _Locked(msgspec.Struct, rename="camel"):
    type: str = ""
    path: str = ""
    nar_hash: str | None = None
    rev: str | None = None
    owner: str = ""
    repo: str = ""
    host: str = ""
    url: str = ""


class _Node(msgspec.Struct):
    locked: _Locked | None = None


class _Document(msgspec.Struct):
    nodes: dict[str, _Node]
    root: str
    version: int


@dataclass(frozen=True)
class LockedInput:
    """One input: the hash of its tree, and where the store holds that (pitfall P24).

    *uri* and *rev* say where the lock has it from, None where it does not say: only the hash is ever checked.
    """

    name: str
    nar_hash: Hash
    store_path: str
    uri: str | None = None
    rev: str | None = None


@dataclass(frozen=True)
class Lock:
    """A lock file: its digest in hexadecimal (None where the flake has no lock), and its inputs by name."""

    sha256: str | None
    inputs: tuple[LockedInput, ...]


def read(file: Path) -> Lock:
    """Read the lock of a flake; a flake without inputs has none. Raises `LockError`."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return Lock(None, ())
    return decode(data, what=file.name)


def decode(data: bytes, *, what: str = "flake.lock") -> Lock:
    """Decode a lock file. Raises `LockError`, also for an input without a narHash: nothing would fix its bytes."""
    try:
        document = strict_json.decode(data, _Document, what=what, max_bytes=MAX_BYTES)
    except BadInputError as error:
        raise LockError(error.message, place=error.place) from error
    if document.version not in _VERSIONS:
        raise LockError(f"version {document.version} is not understood", place=what)
    inputs = []
    for name, node in sorted(document.nodes.items()):
        locked = node.locked
        if name == document.root or (locked is not None and _inside_the_flake(locked)):
            continue
        if locked is None or locked.nar_hash is None:
            raise LockError("locked without a narHash", place=f"{what}: {name}", hint="run `nix flake lock`")
        try:
            nar_hash = Hash.parse(locked.nar_hash)
        except HashError as error:
            raise LockError(error.message, place=f"{what}: {name}") from error
        inputs.append(LockedInput(name, nar_hash, source_store_path(nar_hash), _uri(locked), locked.rev))
    return Lock(hashlib.sha256(data).hexdigest(), tuple(inputs))


def _inside_the_flake(locked: _Locked) -> bool:
    """Tell whether an input is a directory of the flake itself, which the flake's own hash covers."""
    return locked.type == "path" and locked.nar_hash is None and not locked.path.startswith("/")


def _uri(locked: _Locked) -> str | None:
    """Return where an input comes from, in the spelling that SLSA uses for git."""
    if locked.type in _FORGES:
        host, prefix = _FORGES[locked.type]
        return f"git+https://{locked.host or host}/{prefix}{locked.owner.removeprefix('~')}/{locked.repo}"
    if not locked.url:
        return None
    return f"git+{locked.url.removeprefix('git+')}" if locked.type == "git" else locked.url
