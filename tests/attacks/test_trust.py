"""The release server in an attacker's hands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ec_verify.demo.attacks import BY_NAME

if TYPE_CHECKING:
    from ec_verify.demo.lab import Lab
    from ec_verify.demo.node import Node

pytestmark = [pytest.mark.nix, pytest.mark.root]


def test_newer_release_is_no_attack(lab: Lab, node: Node) -> None:
    """What `rolled-back` does in the other direction is an ordinary upgrade of the metadata."""
    server = lab.serve_copy(node, lab.second.site)
    result = lab.verify(node)

    assert server.asked
    assert ("passed", 2) == (result.verdict, result.report["freshness"]["latestVersion"])


def test_tampering_is_found_though_the_metadata_are_refused(lab: Lab, node: Node) -> None:
    """A server that refuses to serve cannot buy silence: a failing finding beats undecided."""
    BY_NAME["set-user-id"].apply(node)
    BY_NAME["expired"].apply(node)
    result = lab.verify(node)

    assert ("failed", 1) == (result.verdict, result.exit)
    assert {"EV102", "EV206"} <= result.codes


def test_node_without_a_pinned_root_is_undecided(lab: Lab, node: Node) -> None:
    """Nothing can be proven to somebody who believes nobody."""
    (node.directory / "root.json").unlink()
    result = lab.verify(node)

    assert ("undecided", 3, {"EV113"}) == (result.verdict, result.exit, result.codes)


def test_last_verified_metadata_serve_offline(lab: Lab, node: Node) -> None:
    """A node that once saw the release can be verified without its server."""
    server = lab.serve_copy(node)
    lab.verify(node)
    server.close()

    assert "passed" == lab.verify(node, "--offline").verdict
