"""Whoever stole a key of the release authority: changes metadata and signs them as their owner would."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ec_verify.demo.errors import DemoError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Forger:
    """Signs the *metadata* that a server shows with the private keys in the directory *keys*."""

    metadata: Path
    keys: Path

    def newest(self, role: str) -> dict[str, Any]:
        """Return what the newest metadata of *role* say."""
        found = [json.loads(file.read_bytes())["signed"] for file in self.metadata.glob(f"*{role}.json")]
        signed: dict[str, Any] = max(found, key=lambda signed: int(signed["version"]))
        return signed

    def change(self, role: str, edit: Callable[[dict[str, Any]], object]) -> None:
        """Change the newest metadata of *role* into a next version, and make what refers to them agree."""
        signed = self.newest(role)
        signed["version"] += 1
        edit(signed)
        root = self.newest("root")
        self.write(role, signed, {keyid: self._key(role) for keyid in root["roles"][role]["keyids"]})
        upper = {"targets": "snapshot", "snapshot": "timestamp"}.get(role)
        if upper is not None:
            meta = {"version": signed["version"]}
            self.change(upper, lambda above: above["meta"].update({f"{role}.json": meta}))

    def write(self, role: str, signed: dict[str, Any], keys: dict[str, Ed25519PrivateKey]) -> None:
        """Write metadata, signed with *keys* by identifier."""
        # What canonical JSON is for values without control characters.
        data = json.dumps(signed, sort_keys=True, separators=(",", ":")).encode()
        signatures = [{"keyid": keyid, "sig": key.sign(data).hex()} for keyid, key in keys.items()]
        name = "timestamp.json" if role == "timestamp" else f"{signed['version']}.{role}.json"
        (self.metadata / name).write_text(json.dumps({"signatures": signatures, "signed": signed}))

    def two_names(self) -> None:
        """Let a next root ask for two signatures of the root's key under two names, and sign with both."""
        signed = self.newest("root")
        signed["version"] += 1
        (name,) = signed["roles"]["root"]["keyids"]
        alias = hashlib.sha256(name.encode()).hexdigest()
        signed["keys"][alias] = signed["keys"][name]
        signed["roles"]["root"] = {"keyids": [name, alias], "threshold": 2}
        key = self._key("root")
        self.write("root", signed, {name: key, alias: key})

    def _key(self, role: str) -> Ed25519PrivateKey:
        file = sorted(self.keys.glob(f"*{role}-*.pem"))[-1]
        key = load_pem_private_key(file.read_bytes(), None)
        if not isinstance(key, Ed25519PrivateKey):
            raise DemoError("is no Ed25519 key", place=str(file))
        return key
