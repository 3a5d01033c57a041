"""Attacks with keys that the release authority lost: what they sign is valid, and not all that is valid is accepted."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING, Any

from zstandard import ZstdCompressor

from ec_verify.demo.attacks.attack import Attack
from ec_verify.demo.forger import Forger

if TYPE_CHECKING:
    from pathlib import Path

    from ec_verify.demo.node import Node
    from ec_verify.demo.server import Server

_FAR = 2**53 - 1
_GIGABYTE = 1 << 30


def bomb() -> bytes:
    """Return few bytes that decompress to a gigabyte."""
    compressor = ZstdCompressor(level=1).compressobj()
    piece = bytes(1 << 20)
    return b"".join(compressor.compress(piece) for _ in range(_GIGABYTE // len(piece))) + compressor.flush()


def metadata_of(server: Server) -> Path:
    """Return where the metadata lie that *server* shows."""
    return server.directory / "releases" / "download" / "trust"


def _stolen(node: Node) -> tuple[Server, Forger]:
    server = node.lab.serve_copy(node)
    return server, Forger(metadata_of(server), node.lab.ci.keys / "release")


def count_twice(node: Node) -> None:
    """Serve a root that asks for two signatures, and let one key give both, under two names."""
    _stolen(node)[1].two_names()


def sign_below_threshold(node: Node) -> None:
    """Serve a next root that nobody of the present one signed."""
    _, forger = _stolen(node)
    signed = forger.newest("root")
    signed["version"] += 1
    forger.write("root", signed, {})


def fast_forward(node: Node) -> None:
    """Sign a timestamp of an absurd version, let the node see it, and go back to the honest one."""
    server, forger = _stolen(node)
    honest = node.directory / "honest"
    shutil.copytree(metadata_of(server), honest)
    forger.change("timestamp", lambda signed: signed.update(version=_FAR))
    node.lab.verify(node)
    shutil.rmtree(metadata_of(server))
    shutil.copytree(honest, metadata_of(server))


def recover(node: Node) -> None:
    """Go back after a fast-forward as a publisher should: with a new key for the role whose key was stolen."""
    fast_forward(node)
    keys = node.directory / "keys"
    shutil.copytree(node.lab.ci.keys / "release", keys)
    published = node.directory / "site" / "releases"
    node.lab.programs.run(["ec-release", "trust", "rotate", "timestamp", "--directory", published, "--keys", keys])


def rotate(node: Node) -> None:
    """Replace the keys of all roles that work online, as a publisher does from time to time."""
    server = node.lab.serve_copy(node)
    node.lab.verify(node)
    keys = node.directory / "keys"
    shutil.copytree(node.lab.ci.keys / "release", keys)
    roles = ("targets", "snapshot", "timestamp")
    published = server.directory / "releases"
    node.lab.programs.run(["ec-release", "trust", "rotate", *roles, "--directory", published, "--keys", keys])


def _target(node: Node, targets: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    name = f"{node.release.manifest.release.tag}/{node.release.file.name}"
    return name, targets[name]


def disagree(node: Node) -> None:
    """Sign a second manifest of the same release for the same system, with other bytes."""
    server, forger = _stolen(node)

    def add(signed: dict[str, Any]) -> None:
        name, target = _target(node, signed["targets"])
        other = b"another manifest"
        twin = {"length": len(other), "hashes": {"sha256": hashlib.sha256(other).hexdigest()}}
        signed["targets"][name.replace("/", "/other-")] = target | twin
        file = server.directory / "releases" / "download" / name.replace("/", "/other-")
        file.write_bytes(other)

    forger.change("targets", add)


def sign_bomb(node: Node) -> None:
    """Sign, as the manifest, what decompresses to a gigabyte."""
    server, forger = _stolen(node)
    data = bomb()

    def replace(signed: dict[str, Any]) -> None:
        name, target = _target(node, signed["targets"])
        target["length"], target["hashes"] = len(data), {"sha256": hashlib.sha256(data).hexdigest()}
        (server.directory / "releases" / "download" / name).write_bytes(data)

    forger.change("targets", replace)


ATTACKS = (
    Attack(
        "one-key-twice",
        "One key under two names",
        "signs a root that asks for two keys, with one key that has two names",
        count_twice,
        frozenset({"EV101"}),
        on_store=False,
    ),
    Attack(
        "below-threshold",
        "A root below the threshold",
        "serves a next root that too few keys of the present one signed",
        sign_below_threshold,
        frozenset({"EV101"}),
        on_store=False,
    ),
    Attack(
        "fast-forward",
        "Fast-forward",
        "stole the timestamp key and signed the highest version there is, so that honest metadata look old",
        fast_forward,
        frozenset({"EV103"}),
        on_store=False,
    ),
    Attack(
        "recovered",
        "Recovery from a fast-forward",
        "was shut out by a new timestamp key, and the node takes honest metadata again",
        recover,
        frozenset(),
        verdict="passed",
        on_store=False,
    ),
    Attack(
        "rotated-keys",
        "Rotated keys",
        "did nothing: the publisher replaced its online keys",
        rotate,
        frozenset(),
        verdict="passed",
        on_store=False,
    ),
    Attack(
        "two-manifests",
        "Two manifests that disagree",
        "stole the online keys and signed a second manifest for the same release and system",
        disagree,
        frozenset({"EV101"}),
        on_store=False,
    ),
    Attack(
        "signed-bomb",
        "Signed compression bomb",
        "stole the online keys and signed what decompresses to a gigabyte",
        sign_bomb,
        frozenset({"EV108"}),
        on_store=False,
    ),
)
