"""Reading `flake.lock`: which input must be which tree.

A locked input's store path follows from its narHash alone, so the lock says where every tree must
lie without asking Nix (pitfall P24). Source: flake.lock version 5 to 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from ec_closure import strict_json
from ec_closure.content_address import source_store_path
from ec_closure.errors import BadInputError
from ec_closure.hashes import Hash, HashError

MAX_BYTES = 16 << 20


class LockError(BadInputError):
    """The lock file is malformed, or pins an input by a hash that is none."""

    code = "verify.lock"


class UnlockedError(LockError):
    """An input is not pinned by content: whoever evaluates would have to ask the network what it is today."""

    code = "verify.lock.open"


class _Node(msgspec.Struct):
    locked: dict[str, Any] | None = None
    parent: list[str] | None = None


class _Lock(msgspec.Struct):
    version: Literal[5, 6, 7]
    root: str
    nodes: dict[str, _Node]


@dataclass(frozen=True)
class LockedInput:
    """One node of the lock file and the store path that its narHash demands."""

    name: str
    nar_hash: Hash
    store_path: str


def locked_inputs(data: bytes, store_dir: str, *, what: str = "flake.lock") -> list[LockedInput]:
    """Return every locked input but the root, sorted by name.

    Raises `UnlockedError`, `LockError`, `JsonError` or `LimitError`.

    Inputs given by a path relative to their parent lie inside the parent's tree and are hashed with it. Not checked:
    which nodes the root reaches; whether a relative path stays inside its parent, which Nix sees to.
    """
    lock = strict_json.decode(data, _Lock, what=what, max_bytes=MAX_BYTES)
    if lock.root not in lock.nodes:
        raise LockError(f"the root {lock.root[:80]!r} is not among the nodes", place=what)
    found = []
    for name, node in sorted(lock.nodes.items()):
        if name == lock.root:
            continue
        locked = node.locked or {}
        text = locked.get("narHash")
        if text is None and locked.get("type") == "path" and not str(locked.get("path", "/")).startswith("/"):
            continue
        if not isinstance(text, str):
            raise UnlockedError(
                "this input is not pinned by a narHash", place=f"{what}: {name}", hint="run nix flake lock"
            )
        found.append(_locked(name, text, store_dir, what))
    return found


def _locked(name: str, text: str, store_dir: str, what: str) -> LockedInput:
    try:
        nar_hash = Hash.parse(text)
    except HashError as error:
        raise LockError(error.message, place=f"{what}: {name}", hint=error.hint) from error
    if nar_hash.algorithm != "sha256":
        raise LockError(f"pinned by {nar_hash.algorithm}, not by sha256", place=f"{what}: {name}")
    return LockedInput(name, nar_hash, source_store_path(nar_hash, store_dir=store_dir))
