"""Attacks on what is in the store at all: entries, rows, references, mounts, links of the running system."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from ec_closure import nix32
from ec_closure.nar.hash import hash_path
from ec_verify.demo.attacks.attack import Attack
from ec_verify.demo.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from ec_closure.manifest import PathRecord
    from ec_verify.demo.node import Node

EVIL = "/nix/store/00000000000000000000000000000000-back-door"
_MOUNTED = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'


def add_entry(node: Node) -> None:
    """Put a file into the store directory that no row knows."""
    file = node.physical(EVIL)
    file.write_bytes(b"a back door")
    file.chmod(0o555)
    node.attacked = [EVIL]


def forge_row(node: Node) -> None:
    """Register a path as if this machine had built it."""
    add_entry(node)
    Store(node.root).register(EVIL, (node.path("runtime-2.40"),))


def remove(node: Node) -> None:
    """Remove a path of the closure."""
    path = node.path("tls.conf")
    node.physical(path).unlink()
    node.attacked = [path]


def drop_reference(node: Node) -> None:
    """Make the database forget that the publisher needs the runtime."""
    path = node.path("publisher-1.4")
    Store(node.root).forget_reference(path, node.path("runtime-2.40"))
    node.attacked = [path]


def shadow(node: Node) -> None:
    """Mount another file over the publisher, in a mount namespace around the verifier that ends with it."""
    path = node.path("publisher-1.4")
    evil = node.directory / "evil"
    evil.write_bytes(node.physical(path).read_bytes() + b"; and a back door")
    evil.chmod(0o444)
    node.wrapper = [
        *("unshare", "--mount", "--propagation", "private"),
        *("sh", "-c", _MOUNTED, "sh", str(evil), str(node.physical(path))),
    ]
    node.attacked = [path]


def another_profile(node: Node) -> None:
    """Let the system profile, and so the next boot, name another system than the one that runs."""
    profiles = node.root / "nix/var/nix/profiles"
    (profiles / "system-2-link").symlink_to(node.path("appliance-rescue"))
    (profiles / "system").unlink()
    (profiles / "system").symlink_to("system-2-link")


def another_system(node: Node) -> None:
    """Run a system that nobody published, registered like any other."""
    system = "/nix/store/00000000000000000000000000000000-appliance-system"
    original = node.release.toplevel
    shutil.copytree(node.physical(original), node.physical(system), symlinks=True)
    Store(node.root).register(system, node.release.manifest.references_of(_record(node, original)))
    for link in ("run/current-system", "run/booted-system", "nix/var/nix/profiles/system-1-link"):
        (node.root / link).unlink()
        (node.root / link).symlink_to(system)
    node.attacked = [system]


def collect_link(node: Node) -> None:
    """Optimise the store, and let one shared file outlive its paths, as between two collections."""
    _lonely_link(node, b"once part of a path")


def forge_link(node: Node) -> None:
    """Leave a back door in `.links` under the hash of another file: the next path with that file gets it."""
    link = _lonely_link(node, b"a file of the next release")
    link.chmod(0o644)
    link.write_bytes(b"a back door of equal size!")
    link.chmod(0o444)
    os.utime(link, (1, 1))
    node.attacked = [f"/nix/store/.links/{link.name}"]


def _lonely_link(node: Node, data: bytes) -> Path:
    node.lab.programs.run(["nix-store", "--store", node.root, "--optimise"])
    links = node.root / "nix/store/.links"
    links.mkdir(mode=0o755, exist_ok=True)
    file = links / "new"
    file.write_bytes(data)
    file.chmod(0o444)
    os.utime(file, (1, 1))
    return file.rename(links / nix32.encode(hash_path(file).hash.digest))


def _record(node: Node, path: str) -> PathRecord:
    return node.release.manifest.paths[node.release.manifest.index()[path]]


ATTACKS = (
    Attack(
        "unknown-entry",
        "Unknown entry in the store directory",
        "left a program in the store directory",
        add_entry,
        frozenset({"EV209"}),
    ),
    Attack(
        "forged-row",
        "Forged database row",
        "registered a program of their own as built by this machine",
        forge_row,
        frozenset({"EV208"}),
    ),
    Attack("missing-path", "Missing path", "deleted the TLS settings", remove, frozenset({"EV202"})),
    Attack(
        "dropped-reference",
        "Reference dropped from the database",
        "made the database forget a reference, so that the next garbage collection breaks the system",
        drop_reference,
        frozenset({"EV212"}),
    ),
    Attack(
        "lonely-link",
        "Link whose paths are gone",
        "left a shared file of paths that were collected",
        collect_link,
        frozenset(),
        verdict="passed",
    ),
    Attack(
        "forged-link",
        "Forged link of shared files",
        "left a back door under the hash of a file that the next release may bring",
        forge_link,
        frozenset({"EV210"}),
    ),
    Attack(
        "bind-mount",
        "Store path shadowed by a mount",
        "mounted a program of their own over the publisher",
        shadow,
        frozenset({"EV303"}),
        needs_root=True,
    ),
    Attack(
        "profile",
        "Profile points elsewhere",
        "made the system profile name another system: the next boot runs that",
        another_profile,
        frozenset({"EV302"}),
    ),
    Attack(
        "unpublished-system",
        "A system that nobody published",
        "made the node run a system of their own, registered like any other",
        another_system,
        frozenset({"EV106"}),
        verdict="undecided",
    ),
)
