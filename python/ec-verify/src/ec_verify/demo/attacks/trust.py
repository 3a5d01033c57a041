"""Attacks on the release server: whoever holds it can serve what they like, but sign nothing."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from ec_verify.demo.attacks.attack import Attack

if TYPE_CHECKING:
    from pathlib import Path

    from ec_verify.demo.node import Node
    from ec_verify.demo.server import Server

_LATER = timedelta(days=90)


def _metadata(server: Server) -> Path:
    return server.directory / "releases" / "download" / "trust"


def unsign(node: Node) -> None:
    """Serve a timestamp without signatures."""
    file = _metadata(node.lab.serve_copy(node)) / "timestamp.json"
    document = json.loads(file.read_bytes())
    document["signatures"] = []
    file.write_text(json.dumps(document))


def sign_with_other_keys(node: Node) -> None:
    """Serve metadata that are whole and valid, but signed by keys of the attacker's own."""
    metadata = _metadata(node.lab.serve_copy(node))
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
    shutil.rmtree(_metadata(server))
    shutil.copytree(node.lab.site / "releases" / "download" / "trust", _metadata(server))


def mix(node: Node) -> None:
    """Serve the targets of the first release under the snapshot of the second."""
    metadata = _metadata(node.lab.serve_copy(node, node.lab.second.site))
    old, new = sorted(metadata.glob("*.targets.json"), key=lambda file: int(file.name.partition(".")[0]))[-2:]
    shutil.copyfile(old, new)


def swap_manifests(node: Node) -> None:
    """Serve the manifest of another system under this one's name."""
    server = node.lab.serve_copy(node)
    asset = server.directory / "releases" / "download" / node.release.manifest.release.tag / node.release.file.name
    shutil.copyfile(node.lab.second.release.file, asset)


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
)
