"""Others at work in the store while it is verified: no false alarm, and a change that matters is not missed.

What they do happens at one point of the run, which is reached each time: when a stage begins, or at its first bytes.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from ec_verify import config
from ec_verify.demo.store import Store
from ec_verify.progress import Silent, Stage
from ec_verify.run import Outcome, Request, run
from ec_verify.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ec_closure.policy import Level
    from ec_verify.demo.lab import Lab
    from ec_verify.demo.node import Node

pytestmark = [pytest.mark.nix, pytest.mark.root]


class Disturbing(Silent):
    """Does *deed* once: when the stage called *when* begins, or, where *midway*, when it tells of its first bytes."""

    def __init__(self, when: str, deed: Callable[[], object], *, midway: bool = False) -> None:
        self.done = 0
        self._when, self._deed, self._midway = when, deed, midway

    @contextmanager
    def stage(self, title: str, *, unit: str = "") -> Iterator[Stage]:
        """Open a stage."""
        with super().stage(title, unit=unit) as inner:
            meant = title.startswith(self._when)
            if meant and not self._midway:
                self._do()
            yield _Noticing(inner, self._do) if meant and self._midway else inner

    def _do(self) -> None:
        if not self.done:
            self.done = 1
            self._deed()


class _Noticing:
    def __init__(self, inner: Stage, tell: Callable[[], object]) -> None:
        self._inner, self._tell = inner, tell

    def total(self, amount: int) -> None:
        self._inner.total(amount)

    def advance(self, amount: int = 1) -> None:
        self._tell()
        self._inner.advance(amount)

    def note(self, text: str) -> None:
        self._inner.note(text)


def nix_store(node: Node, *arguments: object) -> str:
    """Let the node's own Nix work on its store."""
    words = ["nix-store", "--store", str(node.root), *map(str, arguments)]
    return node.lab.programs.run(words, extra=node.home).stdout.strip()


def add(node: Node, name: str) -> str:
    """Add a path that nothing refers to."""
    file = node.directory / f"unlisted-{name}"
    file.write_text(name)
    return nix_store(node, "--add", file)


def verify(node: Node, disturbing: Disturbing, level: Level = "bytes") -> Outcome:
    """Run in this process, and see that others were at work."""
    node.write_policy({"allowed_unlisted": ["*-unlisted-*"]})
    settings = config.load(node.config)
    outcome = run(settings, Request(level, datetime.now(UTC)), disturbing)
    assert disturbing.done
    return outcome


def weighty(outcome: Outcome) -> set[str]:
    """Return the codes of what is more than information."""
    return {one.code for one in outcome.judgement.findings if one.severity != "info"}


@pytest.mark.parametrize("midway", [False, True], ids=["before the bytes", "between two paths"])
def test_a_collection_during_the_run_is_no_alarm(lab: Lab, *, midway: bool) -> None:
    """What nothing refers to vanishes; what the manifest lists is held by temporary roots."""
    node = lab.clone_node(f"collected-{midway}")
    for number in range(5):
        add(node, f"dead-{number}")
    outcome = verify(node, Disturbing("bytes", lambda: nix_store(node, "--gc"), midway=midway))
    assert weighty(outcome) == set()
    assert outcome.judgement.verdict == "passed"


@pytest.mark.parametrize("midway", [False, True], ids=["before the bytes", "between two paths"])
def test_paths_that_are_added_meanwhile_are_no_alarm(lab: Lab, *, midway: bool) -> None:
    """A build or a substitution brings a path and its row; it is looked at as the others."""
    node = lab.clone_node(f"added-{midway}")
    outcome = verify(node, Disturbing("bytes", lambda: add(node, "new"), midway=midway))
    assert weighty(outcome) == set()
    assert outcome.judgement.verdict == "passed"


def test_a_path_that_goes_and_comes_back_is_no_alarm(lab: Lab) -> None:
    """The same bytes under the same name, in another inode and another row."""
    node = lab.clone_node("returning")
    path = add(node, "phoenix")

    def deed() -> None:
        nix_store(node, "--delete", path)
        assert add(node, "phoenix") == path

    outcome = verify(node, Disturbing("bytes", deed, midway=True))
    assert weighty(outcome) == set()
    assert outcome.judgement.verdict == "passed"


@pytest.mark.parametrize("stage", ["bytes", "source"])
def test_optimising_during_the_run_is_no_alarm(lab: Lab, stage: str) -> None:
    """Hard links give files other inodes and other times, and the same bytes."""
    node = lab.clone_node(f"optimised-{stage}")
    outcome = verify(node, Disturbing(stage, lambda: nix_store(node, "--optimise")), "source")
    assert weighty(outcome) == set()
    assert outcome.judgement.verdict == "passed"


def test_a_path_that_is_altered_after_it_was_hashed_is_said(lab: Lab) -> None:
    """Its root was written to since: what was seen is no state that ever was."""
    node = lab.clone_node("altered")
    path = node.path("publisher-1.4")
    store = Store(node.root)

    def deed() -> None:
        store.overwrite(path, store.physical(path).read_bytes().replace(b"1.4", b"6.6"))

    outcome = verify(node, Disturbing("source", deed), "source")
    assert "EV505" in weighty(outcome)
    assert outcome.judgement.verdict != "passed"


def test_a_system_that_is_switched_during_the_run_is_verified_as_it_was(lab: Lab) -> None:
    """The report is about the system that ran at the start, and says so; the next one is about the other."""
    node = lab.clone_node("switched")
    link = node.root / "run/current-system"
    other = node.path("publisher-1.4")

    def deed() -> None:
        link.unlink()
        link.symlink_to(other)

    outcome = verify(node, Disturbing("bytes", deed))
    assert outcome.case.observation.running.current == node.release.toplevel
    assert weighty(outcome) == set()


def test_two_runs_at_once_are_one_run(lab: Lab) -> None:
    """The second says that another is under way, and touches nothing; when the first has ended, it may."""
    node = lab.clone_node("twice")
    state = State(node.state)
    with state.lock():
        ran = lab.programs.attempt(["ec-verify", "run", "--config", str(node.config), "--level", "bytes"])
        assert ran.exit == 3
        assert "another run is under way" in ran.stderr
        assert state.read("counter") is None
    assert lab.verify(node, "--level", "bytes").exit == 0
