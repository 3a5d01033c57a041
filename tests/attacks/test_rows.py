"""Rows that answer in the evaluation's place: what the database says of derivations and tools is not believed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ec_verify.demo.attacks import BY_NAME
from ec_verify.demo.store import Store

if TYPE_CHECKING:
    from ec_verify.demo.lab import Lab
    from ec_verify.demo.node import Node

pytestmark = [pytest.mark.nix, pytest.mark.root]

PUBLISHER = "publisher-1.4"


def plant(lab: Lab, node: Node, *, door: bool) -> str:
    """Put a derivation where the evaluation will put its own, registered, with a back door if asked; return it."""
    path = node.path(PUBLISHER)
    derivation = next(one.deriver for one in node.release.manifest.paths if one.path == path and one.deriver)
    data = Store(lab.ci.root).physical(derivation).read_bytes()
    file = node.physical(derivation)
    file.write_bytes(data.replace(b"version 1.4", b"version 1.4, and a back door") if door else data)
    file.chmod(0o444)
    os.utime(file, (1, 1))
    store = Store(node.root)
    store.register(derivation)
    with store.database() as database:
        database.execute(
            "insert into DerivationOutputs select id, 'out', ? from ValidPaths where path = ?", (path, derivation)
        )
    return derivation


@pytest.mark.parametrize("level", ["rebuild", "full"])
def test_planted_derivation_does_not_cover_for_a_build_machine_that_lies(lab: Lab, node: Node, level: str) -> None:
    """Nix believes a registered derivation: here it would build the very back door that CI signed."""
    BY_NAME["lying-build-machine"].apply(node)
    node.write_policy({"allowed_unlisted": ["*.drv"]})
    plant(lab, node, door=True)
    result = lab.verify(node, "--level", level)

    assert ("failed", 1, "unreproducible") == (result.verdict, result.exit, result.paths[node.path(PUBLISHER)])
    assert "EV501" in result.codes_of(node.path(PUBLISHER))


def test_derivation_that_a_local_evaluation_left_does_no_harm(lab: Lab, node: Node) -> None:
    """Where policy allows derivations, an honest one changes nothing."""
    node.write_policy({"allowed_unlisted": ["*.drv"]})
    plant(lab, node, door=False)
    result = lab.verify(node, "--level", "full")

    assert ("passed", "rebuilt") == (result.verdict, result.paths[node.path(PUBLISHER)])


def test_withdrawn_release_that_would_boot_next_is_named(lab: Lab, node: Node) -> None:
    """What runs now is not all: the profile's release is held to the same rules."""
    old = node.path("appliance-system")
    second = lab.second
    server = lab.serve_copy(node, second.site)
    node.reinstall(second.release, server.url)
    published, keys = node.directory / "site" / "releases", lab.ci.base / "keys" / "release"
    lab.ci.programs.run(["ec-release", "trust", "withdraw", "1", "--directory", published, "--keys", keys])
    profile = node.root / "nix/var/nix/profiles"
    (profile / "system-9-link").symlink_to(old)
    (profile / "system").unlink()
    (profile / "system").symlink_to("system-9-link")
    result = lab.verify(node)

    assert "failed" == result.verdict
    assert "EV109" in result.codes_of(old)


def test_booted_system_that_nobody_published_is_named(lab: Lab, node: Node) -> None:
    """It need not even exist."""
    evil = "/nix/store/00000000000000000000000000000000-evil"
    link = node.root / "run/booted-system"
    link.unlink(missing_ok=True)
    link.symlink_to(evil)

    assert {"EV306"} <= lab.verify(node).codes_of(evil)


def test_clock_that_runs_behind_decides_nothing_that_expires(lab: Lab, node: Node) -> None:
    """Set back far enough, everything would be fresh for ever."""
    assert "passed" == lab.verify(node).verdict
    result = lab.verify(node, "--time", "1971-01-01T00:00:00Z")

    assert ("failed", True) == (result.verdict, "EV115" in result.codes)
