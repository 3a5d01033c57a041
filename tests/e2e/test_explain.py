"""At three in the morning: which file differs, and since when does that matter to whom."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ec_verify.demo.attacks import BY_NAME

if TYPE_CHECKING:
    from ec_verify.demo.lab import Lab
    from ec_verify.demo.node import Node

pytestmark = [pytest.mark.nix, pytest.mark.root]


def explain(lab: Lab, node: Node, path: str, *options: str) -> Any:
    """Return what `ec-verify explain --json` says."""
    command = ["ec-verify", "explain", path, "--config", node.config, "--json", *options]
    return json.loads(lab.programs.run(command).stdout)


def test_a_flipped_byte_is_found_in_its_file(lab: Lab) -> None:
    """By comparing with what the node's own cache serves, over HTTP."""
    node = lab.clone_node("explain-flipped")
    BY_NAME["flipped-byte"].apply(node)
    lab.verify(node, "--level", "bytes")

    found = explain(lab, node, node.attacked[0])

    (entry,) = found["difference"]["entries"]
    assert ("boot/bzImage", "contents") == (entry["path"], entry["kind"])
    assert found["difference"]["source"] == f"{lab.server.url}/cache"
    assert found["words"].startswith("corrupt: ")


def test_what_a_path_inherits_is_led_back_to_its_root_cause(lab: Lab) -> None:
    """From the system down to the one path that comes out otherwise each time."""
    node = lab.clone_node("explain-inherited")
    result = lab.verify(node, "--level", "full")
    assert (0, "inherited") == (result.exit, result.paths[node.release.toplevel])

    found = explain(lab, node, node.release.toplevel)
    assert (node.release.toplevel, node.path("dhparams")) == (found["chain"][0], found["chain"][-1])
    assert found["source"]["evaluated"] == found["source"]["signed"]
    assert found["next"] == f"Explain the root cause: ec-verify explain {node.path('dhparams')}"

    cause = explain(lab, node, node.path("dhparams"))
    assert cause["rebuilt"]["narHash"] != cause["signed"]["narHash"] == cause["onDisk"]["narHash"]
    assert node.release.toplevel in cause["dependents"]["affected"]


def test_what_does_not_reproduce_is_told_file_by_file(lab: Lab) -> None:
    """One builder runs again in a ghost, and what it makes is compared with the disk."""
    node = lab.clone_node("explain-rebuild")
    lab.verify(node, "--level", "bytes")

    found = explain(lab, node, node.path("dhparams"), "--rebuild")["rebuiltDifference"]

    assert ("disk", "rebuilt") == (found["left"], found["right"])
    assert found["source"].startswith("built again here: other bytes than CI signed: sha256-")
    assert "contents" in {entry["kind"] for entry in found["entries"]}


def test_what_was_altered_here_is_compared_with_its_rebuild(lab: Lab) -> None:
    """Where no cache has the signed bytes, the builder makes them."""
    node = lab.clone_node("explain-altered")
    BY_NAME["edited-row"].apply(node)
    lab.verify(node, "--level", "bytes")

    found = explain(lab, node, node.attacked[0], "--rebuild", "--offline")["rebuiltDifference"]

    assert "built again here: the bytes that CI signed" == found["source"]
    assert ["contents"] == [entry["kind"] for entry in found["entries"]]


def test_what_nothing_makes_cannot_be_built_again(lab: Lab) -> None:
    """A source tree, for one: said, not failed."""
    node = lab.clone_node("explain-source")
    lab.verify(node, "--level", "bytes")

    found = explain(lab, node, node.source, "--rebuild")["rebuiltDifference"]

    assert "no derivation of the source makes it" in found["unavailable"]
