"""What rebuilding showed, and the register of what is known not to reproduce."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_verify.conftest import Names, Scene

    from ec_closure.policy import Level


def entry(**changes: Any) -> dict[str, Any]:
    """Return an entry of the register for `tool` that is valid today."""
    return {
        "pattern": "tool",
        "owner": "builds",
        "reason": "draws numbers",
        "expires": "2026-11-20",
    } | changes


@pytest.fixture
def differing(scenes: Callable[[Level], Scene], names: type[Names]) -> Scene:
    """Give a system whose tool comes out otherwise when rebuilt."""
    return scenes("rebuild").evidence(names.tool, rebuilt=names.sri("other"))


def test_an_unexplained_difference_fails_unless_policy_says_otherwise(differing: Scene, names: type[Names]) -> None:
    """A build machine that lies looks like a build that does not reproduce: told with the hash, graded by policy."""
    judged = differing.judge()
    assert ("failed", ["fail"]) == (judged.verdict, [finding.severity for finding in judged.findings])
    assert [(names.tool, names.sri("other"))] == [(one.path, one.nar_hash) for one in judged.rebuilt_differing]

    differing.policy(severity={"EV501": "warn"})
    assert "passed" == differing.judge().verdict


def test_a_known_difference_is_information_with_its_reason(differing: Scene) -> None:
    """The register explains: even where EV501 fails otherwise, a known path does not."""
    differing.policy(severity={"EV501": "fail"}, unreproducible=[entry(expires="2027-11-20")])

    (finding,) = differing.judge().findings

    assert ("info", True) == (finding.severity, "draws numbers (builds)" in finding.message)


def test_an_expired_entry_fails(differing: Scene) -> None:
    """A promise to look again that nobody kept is worse than none; the day itself still counts."""
    differing.policy(unreproducible=[entry(expires="2026-11-19")])

    assert ("failed", ["EV504"]) == (differing.judge().verdict, differing.codes())
    assert "expired on 2026-11-19" in differing.message("EV504")


def test_the_reference_time_decides_what_has_expired(differing: Scene, names: type[Names]) -> None:
    """No clock is read: the same case at another time has another answer."""
    differing.policy(unreproducible=[entry()])

    found = {
        day: differing.set(time=int(names.now.timestamp()) + day * 86400).judge().verdict for day in (-400, 0, 1, 400)
    }

    assert {-400: "passed", 0: "passed", 1: "failed", 400: "failed"} == found


def test_the_first_entry_that_fits_counts(differing: Scene) -> None:
    """Entries are read in order: a special one stands before the general one."""
    differing.policy(unreproducible=[entry(reason="first"), entry(pattern="*", reason="second")])
    assert "first" in differing.message("EV501")

    differing.policy(unreproducible=[entry(pattern="other"), entry(pattern="t*l", reason="second")])
    assert "second" in differing.message("EV501")


def test_an_entry_covers_the_name_and_not_the_hash(differing: Scene, names: type[Names]) -> None:
    """Each build of a path has another hash; the name stays."""
    differing.policy(unreproducible=[entry(pattern=names.tool.rpartition("/")[2])])

    assert "known" not in differing.message("EV501")


def test_a_path_that_does_not_build_is_a_warning_and_leaves_a_hole(
    scenes: Callable[[Level], Scene], names: type[Names]
) -> None:
    """Nothing was compared, so the level is not reached."""
    scene = scenes("rebuild").evidence(names.tool, rebuilt=None, failure="its builder failed: no\nspace")

    judged = scene.judge()

    assert ("undecided", "source", ["EV502"]) == (judged.verdict, judged.level_reached, scene.codes())
    assert scene.message("EV502").endswith("its builder failed: no space")


def test_inherited_differences_are_counted_and_not_listed(scenes: Callable[[Level], Scene], names: type[Names]) -> None:
    """One bad leaf makes a thousand differ; one finding tells of the leaf."""
    scene = scenes("rebuild").evidence(names.library, rebuilt=names.sri("other"))
    scene.evidence(names.tool, tainted_by=(names.library,)).evidence(names.system, tainted_by=(names.library,))

    assert ["EV501"] == scene.codes()
    assert {"unreproducible": 1, "inherited": 2, "matches": 1, "fixed": 1} == scene.judge().counts


def test_strays_of_builders_are_counted(scenes: Callable[[Level], Scene]) -> None:
    """A builder that writes where none of its outputs lies is told once."""
    scene = scenes("rebuild").rebuild(strays=("a\x1b", "b"))

    assert "2 stray entries, the first a\\x1b" == scene.message("EV503")


def test_build_only_outputs_are_counted_in_the_coverage(scenes: Callable[[Level], Scene]) -> None:
    """What was rebuilt although no manifest lists it is said, not judged."""
    coverage = scenes("rebuild").rebuild(build_only=3).judge().coverage

    (step,) = (one for one in coverage if one.step == "rebuild")
    assert 3 == step.reasons["build-only outputs, rebuilt but in no manifest to compare with"]


def test_what_was_spent_is_said_and_when_no_run_gets_further(scenes: Callable[[Level], Scene]) -> None:
    """A budget that is too small for ever is not only a budget that was spent."""
    scene = scenes("rebuild").rebuild(late=3, spent="the budget of 5 seconds was spent")
    assert "3 derivations were not rebuilt: the budget of 5 seconds was spent" == scene.message("EV507")

    assert scene.rebuild(needed=9).message("EV507").endswith("; no run gets further with less than about 9 seconds")
