"""Rebuilding on a node: what is reproduced, what is not and why, and that nothing is downloaded instead."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from ec_verify.demo.attacks import BY_NAME
from ec_verify.demo.attacks.builder import call, nobody_called
from ec_verify.demo.attacks.rebuild import FakeDaemon

if TYPE_CHECKING:
    from ec_verify.demo.lab import Lab
    from ec_verify.demo.node import Node

pytestmark = [pytest.mark.nix, pytest.mark.root]


def test_untouched_node_passes_at_the_highest_level(lab: Lab, node: Node) -> None:
    """Everything is rebuilt, fixed by its hash, or excused by the register; one path is honestly unreproducible."""
    result = lab.verify(node, "--level", "full")
    paths = result.paths

    assert ("passed", 0, "full") == (result.verdict, result.exit, result.report["levelReached"])
    assert set() == result.weighty
    assert {"rebuilt", "fixed", "unreproducible", "inherited"} == set(paths.values())
    assert [node.path("dhparams")] == [path for path, verdict in paths.items() if verdict == "unreproducible"]
    assert "inherited" == paths[node.path("tls.conf")]
    assert "rebuilt" == paths[node.path("publisher-1.4")]
    assert "fixed" == paths[node.path("tuner-firmware-5.1.bin")]


def test_what_a_cache_made_is_rebuilt_at_level_full_only(lab: Lab, node: Node) -> None:
    """Level `rebuild` believes upstream's signature; level `full` does not need to."""
    path = node.path("runtime-2.40")
    rebuilt = lab.verify(node, "--level", "rebuild").paths[path]

    assert ("matches", "rebuilt") == (rebuilt, lab.verify(node, "--level", "full").paths[path])


def test_both_outputs_that_differ_are_named(lab: Lab, node: Node) -> None:
    """Not only the first of them, as Nix does."""
    BY_NAME["two-outputs-differ"].apply(node)
    paths = lab.verify(node, "--level", "rebuild").paths

    assert {"unreproducible"} == {paths[path] for path in node.attacked}
    assert len(node.attacked) == 2


def test_lying_build_machine_is_not_found_without_rebuilding(lab: Lab, node: Node) -> None:
    """Its bytes are signed and its source is right: only building it again tells."""
    BY_NAME["lying-build-machine"].apply(node)

    assert ("passed", set()) == ((result := lab.verify(node, "--level", "source")).verdict, result.weighty)
    assert "EV501" in lab.verify(node, "--level", "rebuild").codes_of(node.path("publisher-1.4"))


def test_fake_daemon_is_called_by_nix_that_is_not_kept_from_it(lab: Lab, node: Node) -> None:
    """The attack is real: Nix with the same environment talks to the daemon."""
    daemon = FakeDaemon(node)
    subprocess.run(
        ["nix", "store", "ping"],
        env={**lab.programs.environment, **node.environment, **daemon.environment},
        capture_output=True,
        check=False,
    )

    assert 1 <= daemon.calls


def test_builder_that_calls_out_is_heard_without_a_sandbox(lab: Lab, node: Node) -> None:
    """The attack is real: the same words reach the server from outside, and that is noticed."""
    result = lab.verify(node)
    lab.programs.run([lab.ci.shell, "-euc", call(lab.server)])

    assert "reached the network" in str(nobody_called(node, result))
