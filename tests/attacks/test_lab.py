"""The lab itself: attacks on one node must not be seen on another, and what it stands for must hold."""

from __future__ import annotations

import base64
import json
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

import pytest

from ec_closure.nar.hash import hash_path
from ec_verify.demo import programs
from ec_verify.demo.ci import ATTR
from ec_verify.demo.errors import DemoError

if TYPE_CHECKING:
    from pathlib import Path

    from ec_verify.demo.lab import Lab
    from ec_verify.demo.node import Node

pytestmark = [pytest.mark.nix, pytest.mark.root]


def _entries(node: Node) -> dict[str, tuple[int, int, int, int]]:
    store = node.root / "nix/store"
    return {
        str(entry.relative_to(store)): (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns)
        for entry in store.rglob("*")
        if ".links" not in entry.parts and (status := entry.lstat())
    }


def test_clones_are_equal_and_share_no_file(lab: Lab) -> None:
    """Modes, owners and times are those of the pristine node; no inode is."""
    one, other = lab.clone_node("one"), lab.clone_node("other")
    inodes = [{entry.lstat().st_ino for entry in (node.root / "nix/store").rglob("*")} for node in (one, other)]

    assert _entries(one) == _entries(other)
    assert set() == inodes[0] & inodes[1]
    assert {1_000_000_000} == {mtime for *_, mtime in _entries(one).values()}


def test_closure_is_small_and_has_every_origin(lab: Lab) -> None:
    """About thirty paths: built, copied and substituted ones, fixed outputs, texts and a self reference."""
    manifest = lab.release.manifest
    records = manifest.paths

    assert 20 <= len(records) <= 40
    assert {"built", "copied", "substituted"} == {record.origin for record in records}
    assert {"text", "fixed"} == {record.ca.partition(":")[0] for record in records if record.ca}
    assert [lab.release.path("publisher-1.4")] == [
        record.path for record in records if record.path in manifest.references_of(record)
    ]
    assert {"out", "doc"} == {record.output for record in records if record.output}
    assert {"rescue"} == set(manifest.system.specialisations)
    assert {"initrd", "kernel"} <= {boot.name for boot in manifest.boot}


def test_lock_names_the_tree_that_is_shipped() -> None:
    """The locked input resolves offline because its tree is what the lock's hash says."""
    with as_file(files("ec_verify.demo")) as package:
        lock = json.loads((package / "appliance" / "flake.lock").read_bytes())
        found = hash_path(package / "channels").hash

    assert lock["nodes"]["channels"]["locked"]["narHash"] == f"sha256-{base64.b64encode(found.digest).decode()}"


def test_nothing_differs_between_git_and_an_export(lab: Lab) -> None:
    """The system from the repository and the system from a node's copy of it are the same derivation."""
    by_git = lab.ci.programs.run(
        ["nix", "eval", "--store", lab.ci.root, "--raw", f"{lab.ci.flake}#{ATTR}.drvPath"]
    ).stdout

    assert lab.release.manifest.system.drv_path == by_git


def test_another_site_may_have_the_address_of_one_that_closed(lab: Lab, node: Node) -> None:
    """The same path has other bytes there, and is fetched: nothing that Nix heard at the address before is believed."""
    server = lab.serve_copy(node)
    node.reinstall(lab.release, server.url)
    server.directory = lab.lying.site
    node.reinstall(lab.lying.release, server.url)

    assert b"a back door" in node.physical(node.path("publisher-1.4")).read_bytes()


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever lacks something is told what, all at once."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DemoError, match=r"nix \(Nix, 2\.8 or newer\), .*bash-static"):
        programs.find_all()
