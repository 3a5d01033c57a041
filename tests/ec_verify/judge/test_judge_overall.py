"""The verdict over all, the level that was reached, and what a report says was not covered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ec_closure.findings import KINDS
from ec_closure.policy import LEVELS
from ec_verify.model import OutputEvidence
from ec_verify.scan.entries import Entry
from ec_verify.scan.metadata import Anomaly

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_verify.conftest import Names, Scene

    from ec_closure.policy import Level


def test_failed_beats_undecided_beats_passed(scenes: Callable[[Level], Scene], names: type[Names]) -> None:
    """1 beats 3 beats 0: a failing finding counts whatever else is unknown."""
    scene = scenes("bytes")
    assert ("passed", 0) == (scene.judge().verdict, scene.judge().exit_code)

    scene.trust(manifest=None)
    assert ("undecided", 3) == (scene.judge().verdict, scene.judge().exit_code)

    scene.look(names.tool, nar_hash=names.sri("evil"))
    assert ("failed", 1) == (scene.judge().verdict, scene.judge().exit_code)

    scene.set(self_test="nothing works")
    assert ("failed", 1) == (scene.judge().verdict, scene.judge().exit_code)


def test_a_verifier_that_failed_its_own_test_decides_nothing(scene: Scene) -> None:
    """EV901 is a warning by default, and still no `passed` and no level stands beside it."""
    scene.set(self_test="a flipped byte was not seen").policy(severity={"EV901": "info"})

    assert ("undecided", None, ["EV901"]) == (scene.judge().verdict, scene.judge().level_reached, scene.codes())


@pytest.mark.parametrize("code", ["EV201", "EV205", "EV209", "EV214"])
@pytest.mark.parametrize("severity", ["fail", "warn", "info"])
def test_policy_sets_the_weight_of_a_code(scene: Scene, names: type[Names], code: str, severity: str) -> None:
    """Whatever the catalogue says, the operator's word counts."""
    scene.look(names.tool, nar_hash=names.sri("evil"), anomalies=(Anomaly("mtime", "", "time stamp 7"),))
    scene.observe(entries=(Entry("evil", "extra"), Entry("trash", "in flight")))
    scene.policy(severity=dict.fromkeys(KINDS, "info") | {code: severity})

    judged = scene.judge()

    assert {severity} == {finding.severity for finding in judged.findings if finding.code == code}
    assert (judged.verdict == "failed") == (severity == "fail")


@pytest.mark.parametrize("level", LEVELS)
def test_a_run_is_undecided_when_it_reached_less_than_was_asked(scenes: Callable[[Level], Scene], level: Level) -> None:
    """The same facts answer a smaller question and leave a larger one open."""
    scene = scenes("rebuild").set(level=level)
    asked, reached = LEVELS.index(level), LEVELS.index("rebuild")

    judged = scene.judge()

    assert ("passed" if asked <= reached else "undecided") == judged.verdict
    assert LEVELS[min(asked, reached)] == judged.level_reached


def test_a_hole_further_down_ends_every_level_above(scenes: Callable[[Level], Scene], names: type[Names]) -> None:
    """Level rebuild is no level when a path could not even be read."""
    scene = scenes("full").look(names.editor, nar_hash=None, problem="unreadable", detail="no rights")

    assert ("undecided", None) == (scene.judge().verdict, scene.judge().level_reached)


@pytest.mark.parametrize(
    "damage",
    [
        lambda scene, names: scene.observe(problems=(names.problem("EV505"),)),
        lambda scene, _names: scene.observe(partial=("the store changed",)),
        lambda scene, _names: scene.trust(manifest=None),
        lambda scene, _names: scene.set(self_test="nothing was seen"),
        lambda scene, names: scene.drop(names.tool, row=False),
    ],
)
def test_level_bytes_is_not_reached_with_a_hole(
    scene: Scene, names: type[Names], damage: Callable[[Scene, type[Names]], object]
) -> None:
    """Each thing that was not done keeps the lowest level from being reached."""
    damage(scene, names)

    assert scene.judge().level_reached is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda scene, _names: scene.set(rebuild=None),
        lambda scene, _names: scene.rebuild(unavailable="no scratch"),
        lambda scene, names: scene.rebuild(problems=(names.problem("EV502"),)),
        lambda scene, names: scene.evidence(names.tool, unsound="the input x is corrupt"),
        lambda scene, names: scene.evidence(names.tool, rebuilt=None),
        lambda scene, names: scene.rebuild(skipped={names.tool: "named by content"}),
    ],
)
def test_level_rebuild_is_not_reached_with_a_hole(
    scenes: Callable[[Level], Scene], names: type[Names], damage: Callable[[Scene, type[Names]], object]
) -> None:
    """Everything that CI built itself must have been rebuilt with an answer."""
    scene = scenes("rebuild")
    damage(scene, names)

    assert ("undecided", "source") == (scene.judge().verdict, scene.judge().level_reached)


def test_level_full_asks_for_every_build_also_of_what_is_in_no_manifest(
    scenes: Callable[[Level], Scene], names: type[Names]
) -> None:
    """A compiler that does not build leaves a hole, although the system does not hold it."""
    scene = scenes("full")
    assert scene.case.rebuild is not None
    compiler = names.store_path("compiler")
    failed = OutputEvidence(compiler, f"{compiler}.drv", "out", None, failure="its builder failed")

    scene.rebuild(outputs=scene.case.rebuild.outputs | {compiler: failed})

    assert ("undecided", "rebuild") == (scene.judge().verdict, scene.judge().level_reached)


def test_freshness_is_told_and_its_limits_are_the_policys(scene: Scene) -> None:
    """At the limit is within it."""
    scene.trust(metadata_age=14 * 86400, newer_releases=10, latest_version=15)
    judged = scene.judge()
    assert ([], 10, 15, 14 * 86400) == (
        scene.codes(),
        judged.freshness.lag,
        judged.freshness.latest_version,
        judged.freshness.metadata_age,
    )

    scene.policy(freshness={"max_lag": 9, "max_age_days": 13})
    assert ["EV111", "EV112"] == scene.codes()


@pytest.mark.parametrize(("version", "codes"), [(4, []), (5, []), (6, ["EV110"])])
def test_the_minimum_version_itself_is_enough(scene: Scene, version: int, codes: list[str]) -> None:
    """Release 5 runs."""
    assert codes == scene.trust(min_version=version).codes()


def test_metadata_that_are_too_old_fail_also_without_a_manifest(scene: Scene) -> None:
    """A node that is held back does not get away with knowing nothing."""
    scene.trust(manifest=None, metadata_age=30 * 86400)

    assert ("failed", ["EV112"]) == (scene.judge().verdict, scene.codes())


def test_the_coverage_says_what_this_version_does_not_look_at(scene: Scene) -> None:
    """A passed run must not look as if everything had been looked at."""
    (running,) = (one for one in scene.judge().coverage if one.step == "running state")

    assert ("partly", 6, 13) == (running.status, running.done, running.total)
    assert "processes: not observed" in running.reasons


def test_the_coverage_counts_reasons_and_has_an_end(scene: Scene, names: type[Names]) -> None:
    """A hundred thousand unreadable files with a reason each do not make a report that nobody accepts."""
    looks = dict(scene.case.observation.paths)
    for number in range(200):
        path = names.store_path(f"part-{number}")
        looks[path] = replace(
            looks[names.tool], path=path, nar_hash=None, problem="unreadable", detail=f"{path}: no\x1brights"
        )
    scene.observe(paths=looks)

    (step,) = (one for one in scene.judge().coverage if one.step == "bytes")

    assert (51, 150, 200) == (len(step.reasons), step.reasons["other reasons"], sum(step.reasons.values()))
    assert all(reason.isprintable() for reason in step.reasons)


def test_offline_metadata_are_told_in_the_coverage(scene: Scene) -> None:
    """Whoever reads the report sees that nobody was asked."""
    (trust,) = (one for one in scene.trust(offline=True).judge().coverage if one.step == "trust")

    assert {"last verified metadata were used, not fresh ones": 1} == trust.reasons


def test_the_digest_of_what_was_seen_changes_with_any_byte(scene: Scene, names: type[Names]) -> None:
    """Two nodes of one release compare by one number."""
    before = scene.judge().observed_digest
    assert before == scene.judge().observed_digest

    assert before != scene.look(names.tool, nar_hash=names.sri("evil")).judge().observed_digest
    assert scene.observe(paths={}).judge().observed_digest is None
