"""Small notations of Nix and of the kernel: hashes, content addresses, store paths, lock files, events, mounts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.fuzz.mutate import twist_json, twist_pieces
from tests.fuzz.target import Target, hold

from ec_closure import nix32
from ec_closure.content_address import ContentAddress, source_store_path
from ec_closure.errors import BadInputError
from ec_closure.hashes import DIGEST_SIZES, Hash
from ec_closure.signing import PublicKey
from ec_closure.store_path import StorePath
from ec_verify.ghost.events import Activity, Reader
from ec_verify.observe import mounts
from ec_verify.source.lockfile import locked_inputs

if TYPE_CHECKING:
    from random import Random

_TEXT = (
    b"sha256:",
    b"sha256-",
    b"sha1:",
    b"md5:",
    b"sha512-",
    b"fixed:",
    b"text:",
    b"r:",
    b"git:",
    b"/nix/store/",
    b"-",
    b"=",
    b"\xd9\xa3",
    b"\n",
    b"e",
)


def _text(data: bytes) -> str:
    """Return the text of any bytes, as the system hands over names."""
    return data.decode("utf-8", "surrogateescape")


def _nix32(data: bytes) -> None:
    text = _text(data)
    hold(nix32.encode(nix32.decode(text)) == text, "two spellings of one value")


def _hash(data: bytes) -> None:
    found = Hash.parse(_text(data))
    hold(len(found.digest) == DIGEST_SIZES[found.algorithm], "a digest of another size")
    hold(Hash.parse(found.sri) == found == Hash.parse(found.nix32), "another hash when it is written again")


def _address(data: bytes) -> None:
    found = ContentAddress.parse(_text(data))
    hold(ContentAddress.parse(found.render()) == found, "another address when it is written again")


def _store_path(data: bytes) -> None:
    text = _text(data)
    hold(StorePath.parse(text).within() == text, "another path when it is written again")
    hold(text.isascii() and "\0" not in text, "a name that no file should have")


def _key(data: bytes) -> None:
    found = PublicKey.parse(_text(data))
    hold(PublicKey.parse(found.render()) == found, "another key when it is written again")
    hold(not found.verifies(b"1", bytes(64)), "verifies anything")


def _lock(data: bytes) -> None:
    for one in locked_inputs(data, "/nix/store"):
        hold(one.store_path == source_store_path(one.nar_hash), "a tree that does not follow from its hash")


def _events(data: bytes) -> None:
    told: list[tuple[str, bool]] = []
    activity = Activity()
    reader = Reader(activity, lambda derivation, started: told.append((derivation, started)))
    for line in data.split(b"\n"):
        reader.feed(line)
    hold(len(activity.messages) <= 1000, "messages without end")
    hold(all(len(tail) <= 25 for tail in activity.logs.values()), "a log without end")
    hold(all(len(line) <= 500 for tail in activity.logs.values() for line in tail), "a line without end")
    hold(sum(started for _, started in told) == len(activity.builders), "a builder that nobody was told of")
    for derivation in activity.builders:
        activity.last_lines(derivation)


def _mounts(data: bytes) -> None:
    found = mounts.parse(data)
    hold(len(found) <= data.count(b"\n") + 1, "more mounts than lines")


def _make_hash(random: Random) -> bytes:
    algorithm = random.choice(list(DIGEST_SIZES))
    made = Hash(algorithm, random.randbytes(DIGEST_SIZES[algorithm]))
    return random.choice((made.sri, made.nix32, f"{algorithm}:{made.base16}")).encode()


def _make_address(random: Random) -> bytes:
    return random.choice((b"fixed:", b"fixed:r:", b"text:")) + Hash("sha256", random.randbytes(32)).nix32.encode()


def _make_path(random: Random) -> bytes:
    return f"/nix/store/{nix32.encode(random.randbytes(20))}-{random.choice(('a', '.x', 'y' * 211, 'a+b?=_'))}".encode()


def _make_key(random: Random) -> bytes:
    return PublicKey("cache.test-1", random.randbytes(32)).render().encode()


def _make_lock(random: Random) -> bytes:
    nodes: dict[str, Any] = {
        f"input-{number}": {"locked": {"type": "path", "narHash": Hash("sha256", random.randbytes(32)).sri}}
        for number in range(random.randrange(4))
    }
    nodes["relative"] = {"locked": {"type": "path", "path": "./x"}, "parent": []}
    nodes["root"] = {"inputs": {name: name for name in nodes}}
    return json.dumps({"version": random.choice((5, 6, 7)), "root": "root", "nodes": nodes}).encode()


def _make_events(random: Random) -> bytes:
    drv = "/nix/store/" + "0" * 32 + "-a.drv"
    events: list[dict[str, Any]] = [
        {"action": "start", "id": 7, "type": 105, "text": "building", "fields": [drv, "", 1, 1]},
        {"action": "result", "id": 7, "type": 101, "fields": ["\x1b[1mhello\x1b[0m"]},
        {"action": "start", "id": 8, "type": 108, "fields": [drv]},
        {"action": "msg", "level": random.randrange(4), "msg": "error: \x1b[31mno\x1b[0m"},
        {"action": "stop", "id": random.choice((7, 8, 9))},
    ]
    kept = random.sample(events, random.randrange(1, 6))
    return b"\n".join([b"@nix " + json.dumps(event).encode() for event in kept])


def _twist_events(random: Random, data: bytes) -> bytes:
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    if lines[at].startswith(b"@nix ") and random.random() < 0.7:
        lines[at] = b"@nix " + twist_json(random, lines[at][5:]).replace(b"\n", b"")
        return b"\n".join(lines)
    return b"\n".join(twist_pieces(random, lines, (b"@nix {", b"@nix ", b"@nix []", b"warning: x", b"\xff")))


def _make_mounts(random: Random) -> bytes:
    lines = [
        b"36 35 98:0 /mnt1 /nix/store rw,noatime master:1 - ext4 /dev/root rw,errors=continue",
        b"37 35 0:5 / /nix/store/a\\040b rw - overlay over\\134lay rw,lowerdir=a:b",
        b"38 35 0:6 - /proc rw shared:3 master:1 propagate_from:2 - proc proc rw",
    ]
    return b"\n".join(random.sample(lines, random.randrange(1, 4))) + b"\n"


def _pieces(separator: bytes) -> Any:
    return lambda random, data: separator.join(twist_pieces(random, data.split(separator), _TEXT))


_BAD = (BadInputError,)
NIX32 = Target("nix32", _nix32, lambda random: nix32.encode(random.randbytes(20)).encode(), _pieces(b"0"), _BAD, _TEXT)
HASH = Target("hash", _hash, _make_hash, _pieces(b":"), _BAD, _TEXT)
ADDRESS = Target("content-address", _address, _make_address, _pieces(b":"), _BAD, _TEXT)
STORE_PATH = Target("store-path", _store_path, _make_path, _pieces(b"/"), _BAD, _TEXT)
KEY = Target("key", _key, _make_key, _pieces(b":"), _BAD, _TEXT, suite=800)
LOCK = Target(
    "flake-lock", _lock, _make_lock, twist_json, _BAD,
    (b'"narHash":', b'"type":"path"', b'"path":"/', b"null", b"\\ud800", b"sha256-", b"[" * 40, b"\xff", b'"version":8'),
)  # fmt: skip
EVENTS = Target(
    "events", _events, _make_events, _twist_events, _BAD,
    (b"@nix ", b'"action":"start"', b'"type":105', b'"fields":[', b"\n", b"\\ud800", b"\x1b[", b"[" * 2000, b"1e30", b"\xff"),
)  # fmt: skip
MOUNTS = Target(
    "mountinfo", _mounts, _make_mounts, _pieces(b" "), _BAD, (b" - ", b"\\040", b"\\777", b"\\", b" ", b"\n", b"\r")
)
