"""Noticing that the store moves while it is examined."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ec_verify import observation, watch
from ec_verify import run as runs
from ec_verify.errors import CanaryError
from ec_verify.location import StoreLocation
from ec_verify.observe.running import Running

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_verify.conftest import Node

    from ec_verify.model import Observation

pytestmark = pytest.mark.nix


def rewrite(node: Node) -> None:
    """Replace a path by an equal one."""
    file = node.physical("library")
    data = file.read_bytes()
    file.unlink()
    file.write_bytes(data)
    file.chmod(0o444)
    os.utime(file, (1, 1))


CHANGES: dict[str, Callable[[Node], object]] = {
    "written to": lambda node: node.physical("library").write_bytes(b"evil\n"),
    "replaced": rewrite,
    "touched": lambda node: os.utime(node.physical("library"), (1, 1)),
    "removed": lambda node: node.physical("library").unlink(),
    "row edited": lambda node: node.sql("update ValidPaths set narSize = 1 where path = ?", node.path("library")),
    "reference added": lambda node: node.sql(
        "insert into Refs select a.id, b.id from ValidPaths a, ValidPaths b where a.path = ? and b.path = ?",
        node.path("library"),
        node.path("text"),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_of_a_path_is_noticed(node: Node, change: str) -> None:
    """Row, content, times and identity of its root."""
    location, paths = StoreLocation(node.root), sorted(node.signed.paths.values())
    before = watch.snapshot(location, paths)

    CHANGES[change](node)

    assert [node.path("library")] == watch.changed(before, watch.snapshot(location, paths))


def test_a_store_that_stays_as_it_is_has_not_changed(node: Node) -> None:
    """Also where a path is missing, and was missing before."""
    location = StoreLocation(node.root)
    paths = [*node.signed.paths.values(), "/nix/store/" + "0" * 32 + "-none"]

    assert [] == watch.changed(watch.snapshot(location, paths), watch.snapshot(location, paths))


def test_a_database_that_breaks_changes_everything(node: Node) -> None:
    """What cannot be compared has not stayed the same."""
    location, paths = StoreLocation(node.root), [node.path("library")]
    before = watch.snapshot(location, paths)
    (node.root / "nix/var/nix/db/db.sqlite").write_bytes(b"garbage" * 1000)

    assert paths == watch.changed(before, watch.snapshot(location, paths))


def optimise(node: Node) -> None:
    """Make hard links, as Nix does to save space."""
    links = node.root / "nix/store/.links"
    links.mkdir(exist_ok=True)
    os.link(node.physical("library"), links / ("0" * 52))


HARMLESS: dict[str, Callable[[Node], object]] = {
    "optimised": optimise,
    "replaced by its equal": rewrite,
    "touched": CHANGES["touched"],
}


@pytest.mark.parametrize("change", [*CHANGES, *HARMLESS])
def test_only_what_is_seen_otherwise_has_moved(node: Node, change: str) -> None:
    """Links and inodes are not what a path is: bytes, metadata and row are."""
    location, manifests = StoreLocation(node.root), (node.signed.manifest,)
    before = watch.snapshot(location, node.signed.paths.values())
    seen = observation.observe(location, Running(None, None, None), manifests)

    (HARMLESS.get(change) or CHANGES[change])(node)

    harmless = change in HARMLESS or change == "replaced"
    assert [] == watch.moved(location, manifests, watch.snapshot(location, before), seen)
    assert ([] if harmless else [node.path("library")]) == watch.moved(location, manifests, before, seen)


def test_what_was_seen_changing_and_still_differs_has_moved(node: Node) -> None:
    """A path that is edited after the look and keeps its row is not as it was seen."""
    location, manifests = StoreLocation(node.root), (node.signed.manifest,)
    before = watch.snapshot(location, node.signed.paths.values())
    seen = observation.observe(location, Running(None, None, None), manifests)
    node.physical("library").chmod(0o4555)

    assert [node.path("library")] == watch.moved(location, manifests, before, seen)


@pytest.mark.parametrize("tampered", [True, False])
def test_an_optimised_store_has_not_changed(
    node: Node,
    monkeypatch: pytest.MonkeyPatch,
    tampered: bool,  # noqa: FBT001 - a table
) -> None:
    """`nix-store --optimise` during the run is no reason to run again."""
    if tampered:
        node.sql("update ValidPaths set narSize = 1 where path = ?", node.path("tool"))

    def observe(*arguments: Any, **options: Any) -> Observation:
        seen = observation.observe(*arguments, **options)
        optimise(node)
        return seen

    monkeypatch.setattr(runs, "observations", SimpleNamespace(observe=observe))

    ran = node.run("run", "--json")

    assert (1 if tampered else 0, {"EV212"} if tampered else set()) == (ran.exit, ran.codes)


@pytest.mark.parametrize("tampered", [True, False])
def test_a_run_on_a_moving_store_is_undecided_and_still_finds(
    node: Node,
    monkeypatch: pytest.MonkeyPatch,
    tampered: bool,  # noqa: FBT001 - a table
) -> None:
    """Whoever keeps the store moving gets no verdict, and hides nothing by it."""
    if tampered:
        node.sql("update ValidPaths set narSize = 1 where path = ?", node.path("tool"))

    def observe(*arguments: Any, **options: Any) -> Observation:
        seen = observation.observe(*arguments, **options)
        os.utime(node.physical("library"), (2, 2))
        return seen

    monkeypatch.setattr(runs, "observations", SimpleNamespace(observe=observe))

    ran = node.run("run", "--json")

    assert (1 if tampered else 3, None) == (ran.exit, ran.report.level_reached)
    assert {"EV505", *(["EV212"] if tampered else [])} == ran.codes


def test_a_ghost_that_is_not_private_is_a_finding_of_its_own(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was made inside came out: nothing more is built, and everybody hears of it."""

    def leak(*_: Any, **__: Any) -> None:
        raise CanaryError("the ghost store is not private", place=node.path("tool"))

    monkeypatch.setattr(runs, "Ghost", leak)

    ran = node.run("source", "--json")

    assert (3, {"EV506"}, "bytes") == (ran.exit, ran.codes, ran.report.level_reached)
