"""What exactly is said about bytes that changed, and that it is no longer said once they are back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ec_verify.demo.attacks import BY_NAME
from ec_verify.demo.store import Store

if TYPE_CHECKING:
    from ec_verify.demo.lab import Lab
    from ec_verify.demo.node import Node

pytestmark = [pytest.mark.nix, pytest.mark.root]


def test_only_the_changed_path_is_corrupt(lab: Lab, node: Node) -> None:
    """A flipped bit makes one path corrupt and leaves the verdict of all others alone."""
    BY_NAME["flipped-byte"].apply(node)
    result = lab.verify(node)

    assert {"corrupt": 1} == {verdict: n for verdict, n in result.report["counts"].items() if verdict == "corrupt"}
    assert "corrupt" == result.paths[node.path("linux-6.12.9")]
    assert {"matches", "fixed"} == set(result.paths.values()) - {"corrupt"}


def test_flipping_the_bit_back_is_clean(lab: Lab, node: Node) -> None:
    """The finding is about the bytes, not about the fact that somebody wrote."""
    BY_NAME["flipped-byte"].apply(node)
    BY_NAME["flipped-byte"].apply(node)

    assert set() == lab.verify(node).codes


def test_missing_path_is_missing(lab: Lab, node: Node) -> None:
    """A deleted path has a verdict of its own."""
    BY_NAME["missing-path"].apply(node)

    assert "missing" == lab.verify(node).paths[node.path("tls.conf")]


def test_observed_hash_stands_in_the_report(lab: Lab, node: Node) -> None:
    """Whoever reads the report can compare what was seen with what others saw."""
    BY_NAME["flipped-byte"].apply(node)
    (differing,) = lab.verify(node).report["differing"]
    signed = next(record for record in node.release.manifest.paths if record.path == differing["path"])

    assert node.attacked == [differing["path"]]
    assert signed.nar_hash != differing["narHash"]


def test_second_output_is_told_from_the_first(lab: Lab, node: Node) -> None:
    """Only the output that changed is corrupt."""
    BY_NAME["second-output"].apply(node)
    paths = lab.verify(node).paths

    assert ("matches", "corrupt") == (paths[node.path("editor-9")], paths[node.path("editor-9-doc")])


@pytest.mark.parametrize(("attack", "key"), [("unknown-entry", "allowed_extra"), ("forged-row", "allowed_unlisted")])
def test_policy_may_allow_what_is_not_in_the_manifest(lab: Lab, node: Node, attack: str, key: str) -> None:
    """An entry or a row that the operator expects is no failure, and one that is not expected still is."""
    BY_NAME[attack].apply(node)
    node.write_policy({key: ["*-back-door"]})
    allowed = lab.verify(node)
    node.write_policy({key: ["*-something-else"]})

    assert ("passed", "failed") == (allowed.verdict, lab.verify(node).verdict)


def test_mount_does_not_outlive_the_verifier(lab: Lab, node: Node) -> None:
    """The attack's mount is seen by the verifier and by nobody else."""
    BY_NAME["bind-mount"].apply(node)
    shadowed = lab.verify(node)
    node.wrapper = []

    assert "EV303" in shadowed.codes
    assert set() == lab.verify(node).codes
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:  # noqa: PTH123 - no path to speak of
        assert str(lab.base) not in mounts.read()


def test_hard_links_of_an_optimised_store_do_not_hide_a_change(lab: Lab, node: Node) -> None:
    """Equal files share one inode: changing it is found in every path that holds it."""
    BY_NAME["optimised"].apply(node)
    BY_NAME["flipped-byte"].apply(node)

    assert "EV201" in lab.verify(node).codes_of(node.path("linux-6.12.9"))


def test_one_altered_file_behind_many_names_is_one_cause(lab: Lab, node: Node) -> None:
    """As after a disk fault in an optimised store: one cause, which names the file in `.links`, and not one a path."""
    store, shared = Store(node.root), [node.path("publisher-1.4"), node.path("tls.conf")]
    # Equal bytes, so that both become one inode; then another byte, behind both names.
    for path in shared:
        store.overwrite(path, b"the same")
    before = [cause for cause in lab.verify(node).report["causes"] if cause["code"] == "EV201"]
    BY_NAME["optimised"].apply(node)
    with store.thawed(shared[0]) as file:
        file.write_bytes(b"not what it was")

    (cause,) = [cause for cause in lab.verify(node).report["causes"] if cause["code"] == "EV201"]

    assert [2] == [one["count"] for one in before]
    assert ".links/" not in before[0]["message"]
    assert (2, set(shared)) == (cause["count"], set(cause["paths"]))
    assert "share an altered file, .links/" in cause["message"]


def test_row_that_agrees_with_evil_bytes_changes_nothing(lab: Lab, node: Node) -> None:
    """The database is a claim: with and without an edited row the path is corrupt."""
    path = node.path("publisher-1.4")
    store = Store(node.root)
    store.overwrite(path, b"evil")
    before = lab.verify(node)
    store.rewrite_row(path)

    assert ("corrupt", "corrupt") == (before.paths[path], lab.verify(node).paths[path])
