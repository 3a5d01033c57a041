"""TUF metadata: the checks in front of the library, and what ours carry for closures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.fuzz.mutate import twist_json
from tests.fuzz.target import Target, hold
from tuf.api.metadata import Metadata, Root, Targets
from tuf.api.serialization import DeserializationError

from ec_closure.store_path import StorePath
from ec_fetch import strict, targets
from ec_fetch.errors import MetadataError, NoTargetError

if TYPE_CHECKING:
    from random import Random

_PATH = "/nix/store/" + "0" * 32 + "-runner"
_WORDS = (
    b'"custom":', b'"x-ec-runner":', b'"toplevel":', b'"version":', b'"withdrawn":', b"\\ud800", b"\\u0000", b"[" * 20, b"null", b"1e400",
    b'"_type":"root"', b'"targets":', b"9007199254740993", b"-1", b'"sha256":', b"\xff", b"NaN", b"../", b"v1/a",
)  # fmt: skip


def _read(data: bytes) -> None:
    strict.check(data, what="targets.json", max_bytes=strict.LIMITS["targets"])
    try:
        signed = Metadata[Any].from_bytes(data).signed
    except DeserializationError:
        return  # the library's own error, which `ec_fetch.translate` gives a name
    if isinstance(signed, Root):
        strict.check_root(data)
    if not isinstance(signed, Targets):
        return
    known = targets.closures(signed)
    said = targets.standing(signed, known)
    hold(all(said.latest >= one.version for one in known), "a closure newer than the newest release")
    for one in known:
        hold(StorePath.parse_base(one.toplevel.rpartition("/")[2]).hash_part != "", "no store path")
        hold(0 <= one.length <= targets.MAX_CLOSURE, "a closure larger than is accepted")
        hold(one.name.isascii() and ".." not in one.name.split("/"), "a name that leads elsewhere")
    for toplevel in {one.toplevel for one in known} | {_PATH}:
        try:
            hold(targets.choose(known, toplevel).toplevel == toplevel, "another system's closure")
        except NoTargetError:
            hold(all(one.toplevel != toplevel for one in known), "a closure was overlooked")


def _target(random: Random) -> dict[str, Any]:
    made: dict[str, Any] = {"length": random.randrange(2**20), "hashes": {"sha256": f"{random.getrandbits(256):064x}"}}
    if random.random() < 0.8:
        made["custom"] = {
            "toplevel": _PATH,
            "version": random.randrange(1, 4),
            "system": random.choice(("runner", "iso")),
        }
    return made


def _targets(random: Random) -> dict[str, Any]:
    names = [f"v{number}/runner.closure.json.zst" for number in range(random.randrange(1, 4))]
    return {
        "targets": {name: _target(random) for name in names},
        "x-ec-runner": {"latest": random.randrange(9), "min_version": 1, "withdrawn": [1, 2]},
    }


def _root(random: Random) -> dict[str, Any]:
    keys = {
        f"{number:064x}": {
            "keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": f"{random.getrandbits(1) + number:064x}"},
        }
        for number in range(random.randrange(1, 4))
    }  # fmt: skip
    roles = ("root", "timestamp", "snapshot", "targets")
    return {
        "consistent_snapshot": True,
        "keys": keys,
        "roles": {role: {"keyids": list(keys)[:1], "threshold": 1} for role in roles},
    }


def _make(random: Random) -> bytes:
    kind, body = ("targets", _targets(random)) if random.random() < 0.8 else ("root", _root(random))
    common = {"_type": kind, "spec_version": "1.0.31", "version": 1, "expires": "2099-01-01T00:00:00Z"}
    return json.dumps({"signatures": [{"keyid": "0" * 64, "sig": "00"}], "signed": common | body}).encode()


TUF = Target("tuf", _read, _make, twist_json, (MetadataError,), _WORDS, suite=1000)
