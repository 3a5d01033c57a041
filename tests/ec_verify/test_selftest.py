"""Verifying the verifier: when it sees nothing, it must say so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ec_closure.nar.errors import TreeError
from ec_closure.nar.hash import NarHash, hash_path
from ec_verify import selftest
from ec_verify.judge import judge
from ec_verify.scan import metadata
from ec_verify.scan import path as paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_verify.conftest import Node

    from ec_closure.nar.inspect import Inspector
    from ec_verify.judge import Case, Judgement


def lie(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the hasher say the same of everything."""
    first: list[NarHash] = []

    def always(root: Path, inspect: Inspector | None = None, *, limit: int) -> NarHash:
        first.append(hash_path(root, inspect, limit=limit))
        return first[0]

    monkeypatch.setattr(paths, "hash_path", always)


def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the inspector see nothing."""
    monkeypatch.setattr(metadata, "_SET_ID", 0)


def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the judge pass everything."""

    def pass_all(case: Case) -> Judgement:
        return replace(judge(case), verdict="passed", findings=())

    monkeypatch.setattr(selftest, "judge", pass_all)


def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the judge fail everything."""

    def fail_all(case: Case) -> Judgement:
        return replace(judge(case), verdict="failed")

    monkeypatch.setattr(selftest, "judge", fail_all)


def refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be read."""

    def refused(_root: Path, _inspect: Inspector | None = None, **_: int) -> NarHash:
        raise TreeError("input/output error")

    monkeypatch.setattr(paths, "hash_path", refused)


def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be no place for a scratch copy."""

    def full(*_: Any, **__: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)


def test_a_verifier_that_works_sees_every_planted_tamper(tmp_path: Path) -> None:
    """And leaves nothing behind."""
    assert selftest.self_test(tmp_path) is None
    assert [] == list(tmp_path.iterdir())


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse set-user-ID bits, as a unit with RestrictSUIDSGID= does."""
    real = Path.chmod

    def chmod(self: Path, mode: int) -> None:
        if mode & 0o6000:
            raise PermissionError(1, "Operation not permitted", str(self))
        real(self, mode)

    monkeypatch.setattr(Path, "chmod", chmod)


def test_where_nobody_may_set_the_bit_another_mode_is_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verifier's own unit need not be given a right that it is there to find the abuse of."""
    forbid(monkeypatch)

    assert selftest.self_test() is None


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lie, "a flipped byte was not seen"),
        (blind, "a set-user-ID bit was not seen"),
        (lenient, "a flipped byte was not seen"),
        (strict, "an untouched tree was judged failed"),
        (refuse, "could not be read"),
        (no_room, "could not be done"),
    ],
)
def test_a_verifier_that_lies_is_caught(
    monkeypatch: pytest.MonkeyPatch, break_it: Callable[[pytest.MonkeyPatch], None], said: str
) -> None:
    """Whichever part does not do its work."""
    break_it(monkeypatch)

    assert said in (selftest.self_test() or "")


@pytest.mark.nix
def test_a_run_with_a_lying_hasher_is_undecided(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose hasher sees the same in everything passes nothing, whatever else it says."""
    monkeypatch.setattr("ec_verify.run.self_test", lambda: "a flipped byte was not seen")

    ran = node.run("run", "--json")

    assert (3, "undecided", None) == (ran.exit, ran.report.verdict, ran.report.level_reached)
    assert ["EV901"] == [finding.code for finding in ran.report.findings]


@pytest.mark.nix
def test_the_self_test_comes_with_every_run(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very hasher that lies to the run is caught in the run."""
    lie(monkeypatch)

    ran = node.run("run", "--json")

    assert "EV901" in ran.codes
    assert "passed" != ran.report.verdict


def test_the_command_says_how_it_went(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 0 when everything was seen, 3 when not."""
    from ec_verify import main

    assert (0, "every planted tamper was seen\n") == (main.run(["self-test"]), capsys.readouterr().out)

    blind(monkeypatch)
    assert (3, True) == (main.run(["self-test"]), "set-user-ID" in capsys.readouterr().out)
