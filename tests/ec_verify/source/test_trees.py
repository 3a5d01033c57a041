"""Source trees are hashed before anything evaluates them, and altered ones are never evaluated."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

import msgspec
import pytest

from ec_closure.content_address import source_store_path
from ec_closure.nar.hash import hash_path
from ec_verify.location import StoreLocation
from ec_verify.source import evaluate as evaluating
from ec_verify.source import trees

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ec_verify.conftest import Node

    from ec_closure.manifest import Manifest
    from ec_verify.model import InputCheck, Problem

pytestmark = pytest.mark.nix
FLAKE = "/etc/every-channel/flake"

Checked = tuple["InputCheck | None", "tuple[InputCheck, ...]", "tuple[Problem, ...]"]


@pytest.fixture
def check(node: Node) -> Callable[..., Checked]:
    """Give a function that checks the node's flake, with or without its manifest."""

    def run(manifest: Manifest | None = node.signed.manifest) -> Checked:
        return trees.check(StoreLocation(node.root), FLAKE, manifest)

    return run


def change(path: Path, text: str) -> None:
    """Write to a read-only file."""
    path.chmod(0o644)
    path.write_text(text)
    path.chmod(0o444)


@pytest.mark.parametrize("trusted", [True, False])
def test_untouched_trees_are_as_expected(
    node: Node,
    check: Callable[..., Checked],
    trusted: bool,  # noqa: FBT001 - a table
) -> None:
    """With a manifest they are what CI signed; without one, what their own names promise."""
    flake, inputs, problems = check(node.signed.manifest if trusted else None)

    assert () == problems
    assert flake is not None
    assert (node.path("flake"), flake.expected) == (flake.path, flake.seen)
    assert [("dependency", node.path("dependency"))] == [(one.name, one.path) for one in inputs]
    assert all(one.seen == one.expected for one in inputs)


@pytest.mark.parametrize("trusted", [True, False])
def test_an_altered_flake_is_found_and_its_inputs_are_not_even_read(
    node: Node,
    check: Callable[..., Checked],
    trusted: bool,  # noqa: FBT001 - a table
) -> None:
    """An altered lock file could name altered inputs as the right ones."""
    change(node.physical("flake") / "flake.nix", "{ outputs = _: { evil = 1; }; }\n")

    flake, inputs, (problem,) = check(node.signed.manifest if trusted else None)

    assert ("EV401", node.path("flake"), ()) == (problem.code, problem.path, inputs)
    assert flake is not None
    # Of what is larger than signed, no more is read than shows that.
    assert trusted == (flake.seen is None)


def test_another_flake_than_the_signed_one_is_found(node: Node, check: Callable[..., Checked]) -> None:
    """A tree that is right in itself is still not the one that CI built."""
    link = node.root / FLAKE.lstrip("/")
    link.unlink()
    link.symlink_to(node.path("dependency"))

    _, _, (problem,) = check()

    assert ("EV401", f"the embedded flake is not {node.path('flake')}") == (problem.code, problem.message)


@pytest.mark.parametrize("target", [None, "/etc/passwd", FLAKE])
def test_no_flake_is_told(node: Node, check: Callable[..., Checked], target: str | None) -> None:
    """A link that is gone, leads elsewhere or runs in a circle."""
    link = node.root / FLAKE.lstrip("/")
    link.unlink()
    if target is not None:
        link.symlink_to(target)

    flake, _, (problem,) = check()

    assert (None, "EV405", f"no flake is embedded at {FLAKE}") == (flake, problem.code, problem.message)


def test_a_flake_that_is_gone_cannot_be_read(node: Node, check: Callable[..., Checked]) -> None:
    """The link is there, the tree is not."""
    node.physical("flake").rename(node.root / "nix" / "aside")

    _, _, (problem,) = check()

    assert ("EV405", True) == (problem.code, "cannot be read" in problem.message)


def test_a_fifo_in_the_flake_is_tampering(node: Node, check: Callable[..., Checked]) -> None:
    """No archive holds a fifo: somebody put it there."""
    os.mkfifo(node.physical("flake") / "fifo")

    _, _, (problem,) = check()

    assert ("EV401", True) == (problem.code, "was altered" in problem.message)


def test_an_altered_input_is_found(node: Node, check: Callable[..., Checked]) -> None:
    """Nix would take what lies at a valid path for the right tree."""
    change(node.physical("dependency") / "default.nix", "{ evil = 1; }\n")

    _, (dependency,), (problem,) = check()

    assert ("EV402", node.path("dependency")) == (problem.code, problem.path)
    assert dependency.seen != dependency.expected


def test_a_fifo_in_an_input_is_tampering(node: Node, check: Callable[..., Checked]) -> None:
    """An altered input is never excused as one that is not there."""
    os.mkfifo(node.physical("dependency") / "fifo")

    _, _, (problem,) = check()

    assert ("EV402", True) == (problem.code, "was altered" in problem.message)


def test_a_missing_input_is_not_accused(node: Node, check: Callable[..., Checked]) -> None:
    """What is not there cannot have been altered."""
    node.physical("dependency").rename(node.root / "nix" / "aside")

    _, (dependency,), (problem,) = check()

    assert (None, "EV405", "the locked input dependency is not on this node") == (
        dependency.seen,
        problem.code,
        problem.message,
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda file: file.symlink_to("/etc/hostname"), "cannot be read"),
        (lambda file: file.mkdir(), "cannot be read"),
        (lambda file: file.write_text("{"), "not JSON"),
        (lambda file: file.write_text('{"version":7,"root":"root","nodes":{"root":{},"a":{}}}'), "not pinned"),
        (lambda file: file.write_bytes(b" " * (17 << 20)), "accepted"),
    ],
)
def test_a_lock_that_cannot_be_used_is_told_and_never_followed(
    node: Node, make: Callable[[Path], object], said: str
) -> None:
    """A link in the lock's place would lead out of the tree that was just hashed."""
    flake = node.physical("dependency")
    flake.chmod(0o755)
    make(flake / "flake.lock")
    location = StoreLocation(node.root)
    link = node.root / FLAKE.lstrip("/")
    link.unlink()
    renamed = _as_its_hash_says(node, flake)
    link.symlink_to(renamed)

    _, _, (problem,) = trees.check(location, FLAKE, None)

    assert ("EV407" if said == "not pinned" else "EV405", True) == (problem.code, said in problem.message)


def test_a_flake_without_a_lock_needs_nothing(node: Node) -> None:
    """No lock file, no inputs."""
    link = node.root / FLAKE.lstrip("/")
    link.unlink()
    link.symlink_to(node.path("dependency"))

    _, inputs, problems = trees.check(StoreLocation(node.root), FLAKE, None)

    assert ((), ()) == (inputs, problems)


def test_a_flake_that_is_a_file_is_no_flake(node: Node) -> None:
    """A source may be one file; a flake is a directory."""
    file = node.root / "nix" / "store" / "aside"
    file.write_text("words")
    link = node.root / FLAKE.lstrip("/")
    link.unlink()
    link.symlink_to(_as_its_hash_says(node, file))

    _, _, (problem,) = trees.check(StoreLocation(node.root), FLAKE, None)

    assert ("EV405", True) == (problem.code, "no directory" in problem.message)


@pytest.mark.parametrize("name", ["flake", "dependency"])
def test_altered_trees_are_never_evaluated(node: Node, name: str) -> None:
    """The evaluator is not started: its answer would be the attacker's."""

    class Ghost:
        location = StoreLocation(node.root)

        @property
        def nix(self) -> NoReturn:
            pytest.fail("something was evaluated")

    (node.physical(name) / "evil").write_text("evil")

    evaluation, graph = evaluating.evaluate(Ghost(), FLAKE, "system", node.signed.manifest)  # type: ignore[arg-type] # only what is used before

    assert (None, None, 1) == (graph, evaluation.drv_path, len(evaluation.problems))


@pytest.mark.parametrize("attr", ["", "a b", "x;y", "a\n", "$(id)", "../x", "é"])
def test_an_attribute_that_is_none_is_never_evaluated(node: Node, attr: str) -> None:
    """The attribute comes from a manifest or a configuration, and stands in an installable."""

    class Ghost:
        location = StoreLocation(node.root)

        @property
        def nix(self) -> NoReturn:
            pytest.fail("something was evaluated")

    evaluation, graph = evaluating.evaluate(Ghost(), FLAKE, attr, node.signed.manifest)  # type: ignore[arg-type] # only what is used before

    (problem,) = evaluation.problems
    assert (None, "EV405", True) == (graph, problem.code, "is no flake attribute" in problem.message)


def test_names_in_a_lock_reach_messages_but_nothing_else(node: Node) -> None:
    """A node's name is text of whoever wrote the lock."""
    flake = node.physical("dependency")
    flake.chmod(0o755)
    lock = {"version": 7, "root": "r", "nodes": {"r": {}, "../\x1b[2K": {}}}
    (flake / "flake.lock").write_bytes(msgspec.json.encode(lock))
    link = node.root / FLAKE.lstrip("/")
    link.unlink()
    link.symlink_to(_as_its_hash_says(node, flake))

    _, _, (problem,) = trees.check(StoreLocation(node.root), FLAKE, None)

    assert "EV407" == problem.code


def _as_its_hash_says(node: Node, tree: Path) -> str:
    """Move *tree* to the store path that its bytes deserve, and return that."""
    path = source_store_path(hash_path(tree).hash)
    tree.rename(node.root / path.lstrip("/"))
    return path
