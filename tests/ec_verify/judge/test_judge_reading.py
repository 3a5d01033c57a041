"""What was not read in this run: its word, its reason, and how long it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ec_verify.model import Recall

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_verify.conftest import Names, Scene

    from ec_closure.policy import Level

HOUR = 3600
DAY = 86400


def test_what_was_not_read_again_is_unchanged(scenes: Callable[..., Scene], names: type[Names]) -> None:
    """Its reason says when it was read; the level is reached."""
    scene = scenes("bytes")
    scene.look(names.tool, as_at=scene.case.time - HOUR).set(recall=Recall(used=True))
    judged = scene.judge()

    assert ("unchanged", "as at 2026-11-20T11:00Z, not read again") == (
        scene.verdict_on(names.tool),
        scene.reason_for(names.tool),
    )
    assert ("passed", "bytes", ()) == (judged.verdict, judged.level_reached, judged.findings)
    assert (4, 1, HOUR) == (judged.reading.read, judged.reading.unchanged, judged.reading.oldest_age)
    (reading,) = (one for one in judged.coverage if one.step == "reading")
    assert (4, 5, {"not written to since they were read, the first 2026-11-20T11:00Z": 1}) == (
        reading.done,
        reading.total,
        reading.reasons,
    )


def test_an_earlier_rebuild_is_told(scenes: Callable[..., Scene], names: type[Names]) -> None:
    """A path that was rebuilt last week and not written to since says both."""
    scene = scenes("bytes")
    now = scene.case.time
    scene.look(names.tool, as_at=now - HOUR).set(recall=Recall(used=True, built={names.tool: now - DAY}))

    assert "as at 2026-11-20T11:00Z, not read again; rebuilt as signed 2026-11-19T12:00Z" == scene.reason_for(
        names.tool
    )


@pytest.mark.parametrize(("age", "verdict"), [(30 * DAY, "unchanged"), (30 * DAY + 1, "unchecked"), (-1, "unchecked")])
def test_what_is_too_old_is_unchecked(scenes: Callable[..., Scene], names: type[Names], age: int, verdict: str) -> None:
    """Whoever hands it to the judge: its age is looked at again, and what is from the future says nothing."""
    scene = scenes("bytes")
    scene.look(names.tool, as_at=scene.case.time - age)
    judged = scene.judge()

    assert verdict == scene.verdict_on(names.tool)
    assert ("bytes" if verdict == "unchanged" else None) == judged.level_reached


def test_an_unlisted_path_that_was_read_too_long_ago_costs_the_level(
    scenes: Callable[..., Scene], names: type[Names]
) -> None:
    """It is no path of the manifest, and is part of what must be read all the same."""
    scene = scenes("bytes").policy(allowed_unlisted=["*"])
    other = names.store_path("other")
    scene.add(path=other, as_at=scene.case.time - 31 * DAY)

    assert None is scene.judge().level_reached


@pytest.mark.parametrize("level", ["rebuild", "full"])
def test_what_was_not_read_is_not_called_rebuilt(
    scenes: Callable[..., Scene], names: type[Names], level: Level
) -> None:
    """Rebuilt means that disk, signed and rebuilt bytes were seen; one of three is missing."""
    scene = scenes(level)
    scene.look(names.tool, as_at=scene.case.time - HOUR)
    judged = scene.judge()

    assert "unchanged" == scene.verdict_on(names.tool)
    assert ("undecided", "source") == (judged.verdict, judged.level_reached)


def test_other_bytes_stay_corrupt(scenes: Callable[..., Scene], names: type[Names]) -> None:
    """Memory excuses nothing."""
    scene = scenes("bytes")
    scene.look(names.tool, as_at=scene.case.time - HOUR, nar_hash=names.sri("evil"))

    assert "corrupt" == scene.verdict_on(names.tool)


def test_an_earlier_rebuild_counts_for_the_level(scenes: Callable[..., Scene], names: type[Names]) -> None:
    """The path matches and was not rebuilt now; the reason and the account say when it was."""
    scene = scenes("rebuild")
    assert scene.case.rebuild is not None
    outputs = {path: seen for path, seen in scene.case.rebuild.outputs.items() if path != names.tool}
    scene.rebuild(outputs=outputs, remembered={names.tool: scene.case.time - DAY}, skipped={names.tool: "no time"})
    judged = scene.judge()

    assert (
        "matches",
        "not rebuilt again: rebuilt as signed 2026-11-19T12:00Z, from the same derivation and inputs",
    ) == (
        scene.verdict_on(names.tool),
        scene.reason_for(names.tool),
    )
    assert ("passed", "rebuild") == (judged.verdict, judged.level_reached)
    assert (1, DAY) == (judged.reading.rebuilt_before, judged.reading.oldest_rebuild_age)


@pytest.mark.parametrize("age", [30 * DAY + 1, -1])
def test_an_earlier_rebuild_counts_for_a_while(scenes: Callable[..., Scene], names: type[Names], age: int) -> None:
    """Longer ago than policy allows, or in the future, it is none."""
    scene = scenes("rebuild")
    assert scene.case.rebuild is not None
    outputs = {path: seen for path, seen in scene.case.rebuild.outputs.items() if path != names.tool}
    scene.rebuild(outputs=outputs, remembered={names.tool: scene.case.time - age}, skipped={names.tool: "no time"})

    assert ("not rebuilt: no time", "source") == (scene.reason_for(names.tool), scene.judge().level_reached)


def test_what_was_tried_now_is_judged_by_that(scenes: Callable[..., Scene], names: type[Names]) -> None:
    """That it came out as signed last week does not hide that it does not today."""
    scene = scenes("rebuild").rebuild(remembered={names.tool: int(names.now.timestamp()) - DAY})
    scene.evidence(names.tool, rebuilt=names.sri("other"))

    assert "unreproducible" == scene.verdict_on(names.tool)


@pytest.mark.parametrize(("accepted", "reached"), [(False, "source"), (True, "rebuild")])
def test_a_share_is_the_level_only_where_policy_says_so(
    scenes: Callable[..., Scene],
    names: type[Names],
    accepted: bool,  # noqa: FBT001 - a table
    reached: str,
) -> None:
    """What other nodes rebuild is said to be theirs either way."""
    scene = scenes("rebuild").policy(fleet={"accept_share": accepted})
    assert scene.case.rebuild is not None
    outputs = {path: seen for path, seen in scene.case.rebuild.outputs.items() if path != names.tool}
    theirs = {names.tool: "assigned to other nodes of the fleet"}
    scene.rebuild(outputs=outputs, skipped=theirs, elsewhere=frozenset(theirs))

    assert ("matches", "not rebuilt: assigned to other nodes of the fleet", reached) == (
        scene.verdict_on(names.tool),
        scene.reason_for(names.tool),
        scene.judge().level_reached,
    )
