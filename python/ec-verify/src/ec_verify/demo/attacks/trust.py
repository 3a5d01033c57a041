"""Attacks on the release server: whoever holds it can serve what they like, but sign nothing."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ec_verify.demo.attacks.attack import Attack
from ec_verify.demo.attacks.stolen import bomb, metadata_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ec_verify.demo.node import Node

_LATER = timedelta(days=90)


def unsign(node: Node) -> None:
    """Serve a timestamp without signatures."""
    file = metadata_of(node.lab.serve_copy(node)) / "timestamp.json"
    document = json.loads(file.read_bytes())
    document["signatures"] = []
    file.write_text(json.dumps(document))


def sign_with_other_keys(node: Node) -> None:
    """Serve metadata that are whole and valid, but signed by keys of the attacker's own."""
    metadata = metadata_of(node.lab.serve_copy(node))
    shutil.rmtree(metadata)
    run, release = node.lab.programs.run, node.release
    mine, keys = node.directory / "attacker", node.directory / "attacker-keys"
    version = str(release.manifest.release.version)
    run(["ec-release", "trust", "init", "--directory", mine, "--keys", keys])
    run(
        [
            *("ec-release", "publish", "--directory", mine, "--keys", keys),
            *("--tag", release.manifest.release.tag, "--version", version, "--closure", release.file),
        ]
    )
    shutil.copytree(mine / "download" / "trust", metadata)


def freeze(node: Node) -> None:
    """Keep serving what was signed long ago."""
    later = datetime.now(UTC) + _LATER
    node.arguments += ["--time", later.strftime("%Y-%m-%dT%H:%M:%SZ")]


def roll_back(node: Node) -> None:
    """Serve the metadata of the first release to a node that has seen those of the second."""
    server = node.lab.serve_copy(node, node.lab.second.site)
    node.lab.verify(node, "--level", "bytes")
    shutil.rmtree(metadata_of(server))
    shutil.copytree(node.lab.site / "releases" / "download" / "trust", metadata_of(server))


def mix(node: Node) -> None:
    """Serve the targets of the first release under the snapshot of the second."""
    metadata = metadata_of(node.lab.serve_copy(node, node.lab.second.site))
    old, new = sorted(metadata.glob("*.targets.json"), key=lambda file: int(file.name.partition(".")[0]))[-2:]
    shutil.copyfile(old, new)


def swap_manifests(node: Node) -> None:
    """Serve the manifest of another system under this one's name."""
    server = node.lab.serve_copy(node)
    asset = server.directory / "releases" / "download" / node.release.manifest.release.tag / node.release.file.name
    shutil.copyfile(node.lab.second.release.file, asset)


def serve_newer(node: Node) -> None:
    """Serve the metadata of a second release: an upgrade, not an attack."""
    node.lab.verify(node)
    node.configure(node.lab.serve_copy(node, node.lab.second.site).url)


def forget(node: Node) -> None:
    """Roll back, after what the node remembers was removed."""
    roll_back(node)
    shutil.rmtree(node.state / "trust")


def _rewrite(node: Node, change: Callable[[bytes], bytes]) -> None:
    file = metadata_of(node.lab.serve_copy(node)) / "timestamp.json"
    file.write_bytes(change(file.read_bytes()))


def _twice(data: bytes) -> bytes:
    return data.replace(b'{"signatures"', b'{"signatures": [], "signatures"', 1).replace(
        b'{\n "signatures"', b'{\n "signatures": [],\n "signatures"', 1
    )


def _rewrite_manifest(node: Node, change: Callable[[bytes], bytes]) -> None:
    server = node.lab.serve_copy(node)
    tag = node.release.manifest.release.tag
    asset = server.directory / "releases" / "download" / tag / node.release.file.name
    asset.write_bytes(change(asset.read_bytes()))


ATTACKS = (
    Attack(
        "unsigned",
        "Unsigned metadata",
        "serves metadata without signatures",
        unsign,
        frozenset({"EV101"}),
        on_store=False,
    ),
    Attack(
        "wrong-key",
        "Metadata signed by other keys",
        "signs everything anew, with keys of their own",
        sign_with_other_keys,
        frozenset({"EV101"}),
        on_store=False,
    ),
    Attack(
        "expired",
        "Expired metadata",
        "keeps serving what was signed long ago",
        freeze,
        frozenset({"EV102"}),
        verdict="undecided",
        on_store=False,
    ),
    Attack(
        "rolled-back",
        "Rolled-back metadata",
        "serves metadata older than the node has seen",
        roll_back,
        frozenset({"EV103"}),
        on_store=False,
    ),
    Attack(
        "mixed",
        "Mixed-and-matched metadata",
        "serves old targets under a new snapshot",
        mix,
        frozenset({"EV101"}),
        on_store=False,
    ),
    Attack(
        "another-manifest",
        "Manifest of another system",
        "serves another system's manifest under this one's name",
        swap_manifests,
        frozenset({"EV107"}),
        on_store=False,
    ),
    Attack(
        "newer-release",
        "A newer release",
        "serves the metadata of a newer release, as a publisher does",
        serve_newer,
        frozenset(),
        verdict="passed",
        on_store=False,
    ),
    Attack(
        "forgotten-state",
        "Memory removed, metadata rolled back",
        "removed what the node remembers, and serves older metadata than it has seen",
        forget,
        frozenset({"EV114"}),
        verdict="passed",
        on_store=False,
    ),
    Attack(
        "oversized-metadata",
        "Oversized metadata",
        "serves a timestamp of a megabyte",
        lambda node: _rewrite(node, lambda data: data + b" " * (1 << 20)),
        frozenset({"EV101"}),
        on_store=False,
    ),
    Attack(
        "truncated-metadata",
        "Truncated metadata",
        "serves half a timestamp",
        lambda node: _rewrite(node, lambda data: data[: len(data) // 2]),
        frozenset({"EV101"}),
        on_store=False,
    ),
    Attack(
        "duplicate-keys",
        "Duplicate keys",
        "serves a timestamp that says everything twice: readers differ in which one counts",
        lambda node: _rewrite(node, _twice),
        frozenset({"EV101"}),
        on_store=False,
    ),
    Attack(
        "deep-metadata",
        "Deep JSON",
        "serves a timestamp that is nested five thousand deep",
        lambda node: _rewrite(node, lambda _data: b"[" * 5000 + b"]" * 5000),
        frozenset({"EV101"}),
        on_store=False,
    ),
    Attack(
        "truncated-manifest",
        "Truncated manifest",
        "serves half of the manifest",
        lambda node: _rewrite_manifest(node, lambda data: data[: len(data) // 2]),
        frozenset({"EV107"}),
        on_store=False,
    ),
    Attack(
        "bomb-for-manifest",
        "A bomb for a manifest",
        "serves, in the manifest's place, what decompresses to a gigabyte",
        lambda node: _rewrite_manifest(node, lambda _data: bomb()),
        frozenset({"EV107"}),
        on_store=False,
    ),
)
