"""The word for each path of the manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_verify.conftest import Names, Scene

    from ec_closure.policy import Level


def test_bytes_that_are_signed_match_and_say_why_they_are_not_more(scene: Scene, names: type[Names]) -> None:
    """At level bytes a built path matches; content-addressed ones are fixed by their own name."""
    assert ("matches", "level bytes does not rebuild") == (
        scene.verdict_on(names.tool),
        scene.reason_for(names.tool),
    )
    assert "fixed" == scene.verdict_on(names.text)


@pytest.mark.parametrize(
    ("problem", "verdict"),
    [("missing", "missing"), ("unarchivable", "corrupt"), ("unreadable", "unchecked"), ("changed", "unchecked")],
)
def test_what_cannot_be_hashed_has_a_word_of_its_own(
    scene: Scene, names: type[Names], problem: str, verdict: str
) -> None:
    """Missing and altered paths are judged; paths that could not be read are not."""
    scene.look(names.tool, nar_hash=None, problem=problem, detail="the disk says no")

    assert (verdict, "the disk says no") == (scene.verdict_on(names.tool), scene.reason_for(names.tool))


def test_a_path_that_nobody_looked_at_is_unchecked(scene: Scene, names: type[Names]) -> None:
    """No observation is no verdict."""
    scene.drop(names.tool, row=False)

    assert "unchecked" == scene.verdict_on(names.tool)


def test_signed_bytes_under_a_name_that_they_do_not_deserve_are_corrupt(scene: Scene, names: type[Names]) -> None:
    """The name of a content-addressed path is a promise of its own, beside the signature."""
    scene.look(names.text, deserved=names.store_path("another"))

    assert ("corrupt", f"its bytes deserve the name {names.store_path('another')}") == (
        scene.verdict_on(names.text),
        scene.reason_for(names.text),
    )


def test_bytes_that_no_such_name_can_hold_are_corrupt_with_the_reason(scene: Scene, names: type[Names]) -> None:
    """A text that became a directory deserves no text's name at all."""
    scene.look(names.text, deserved=None, detail="a text content address is that of a file, which this is not")

    assert "corrupt" == scene.verdict_on(names.text)
    assert "is that of a file" in scene.message("EV210")


def test_rebuilt_from_good_inputs_to_the_signed_bytes_is_rebuilt(
    scenes: Callable[[Level], Scene], names: type[Names]
) -> None:
    """Disk, signature and rebuild agree."""
    assert "rebuilt" == scenes("rebuild").verdict_on(names.tool)


def test_rebuilt_from_bad_inputs_proves_nothing(scenes: Callable[[Level], Scene], names: type[Names]) -> None:
    """The same bytes from inputs that nobody vouches for are worth no more than a match."""
    scene = scenes("rebuild").evidence(names.tool, unsound="the input x is corrupt")

    assert ("matches", "rebuilt, but that proves nothing: the input x is corrupt") == (
        scene.verdict_on(names.tool),
        scene.reason_for(names.tool),
    )


def test_a_difference_from_good_inputs_is_unreproducible(scenes: Callable[[Level], Scene], names: type[Names]) -> None:
    """Whoever builds it gets other bytes, although nothing else differs."""
    assert "unreproducible" == scenes("rebuild").evidence(names.tool, rebuilt="sha256-other").verdict_on(names.tool)


def test_a_difference_from_bad_inputs_is_not_blamed_on_the_build(
    scenes: Callable[[Level], Scene], names: type[Names]
) -> None:
    """Other bytes from inputs that prove nothing are no evidence of anything."""
    scene = scenes("rebuild").evidence(names.tool, rebuilt="sha256-other", unsound="the input x is corrupt")

    assert "matches" == scene.verdict_on(names.tool)
    assert "EV501" not in scene.codes()


@pytest.mark.parametrize(("count", "named"), [(1, "only because of a0"), (4, "only because of a0, a1, a2 …")])
def test_a_difference_that_came_in_with_an_input_is_inherited(
    scenes: Callable[[Level], Scene], names: type[Names], count: int, named: str
) -> None:
    """Rebuilt to the signed bytes once its inputs are taken as signed: the causes are named, the first three."""
    scene = scenes("rebuild").evidence(names.tool, tainted_by=tuple(f"a{number}" for number in range(count)))

    assert ("inherited", named) == (scene.verdict_on(names.tool), scene.reason_for(names.tool))
    assert scene.codes() == []


def test_a_builder_that_fails_makes_its_path_unbuildable(scenes: Callable[[Level], Scene], names: type[Names]) -> None:
    """The log's lines stay lines in the reason, without anything that drives a terminal."""
    scene = scenes("rebuild").evidence(names.tool, rebuilt=None, failure="its builder failed:\n\x1b]0;x\x07no")

    assert ("unbuildable", "its builder failed:\n\\x1b]0;x\\x07no") == (
        scene.verdict_on(names.tool),
        scene.reason_for(names.tool),
    )


def test_damage_on_the_disk_stays_damage_whatever_a_rebuild_says(
    scenes: Callable[[Level], Scene], names: type[Names]
) -> None:
    """A rebuild that gives the signed bytes says where the fault lies, but heals nothing."""
    scene = scenes("rebuild").look(names.tool, nar_hash=names.sri("evil"))

    assert "corrupt" == scene.verdict_on(names.tool)
    assert "a rebuild gives the signed bytes" in scene.message("EV201")


def test_what_a_cache_made_is_not_rebuilt_below_level_full(
    scenes: Callable[[Level], Scene], names: type[Names]
) -> None:
    """Level rebuild asks for what CI built itself, level full for everything."""
    assert ("matches", "rebuilt") == (
        scenes("rebuild").verdict_on(names.editor),
        scenes("full").verdict_on(names.editor),
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"unavailable": "no scratch"}, "not rebuilt: no scratch"),
        ({"outputs": {}}, "not rebuilt: no derivation of the source makes it"),
    ],
)
def test_what_was_not_rebuilt_says_why(
    scenes: Callable[[Level], Scene], names: type[Names], changes: dict[str, object], reason: str
) -> None:
    """A path that only matches tells what stood in the way of more."""
    assert reason == scenes("rebuild").rebuild(**changes).reason_for(names.tool)


def test_what_was_left_out_of_a_rebuild_says_why(scenes: Callable[[Level], Scene], names: type[Names]) -> None:
    """A derivation that cannot be tested alone is skipped with its reason."""
    scene = scenes("rebuild").rebuild(skipped={names.tool: "named by content"})

    assert "not rebuilt: named by content" == scene.reason_for(names.tool)


def test_without_an_evaluation_nothing_is_rebuilt(scenes: Callable[[Level], Scene], names: type[Names]) -> None:
    """A rebuild that did not happen leaves matches."""
    scene = scenes("rebuild").set(rebuild=None)

    assert ("matches", "not rebuilt: the source was not evaluated") == (
        scene.verdict_on(names.tool),
        scene.reason_for(names.tool),
    )
