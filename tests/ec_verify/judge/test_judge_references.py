"""What is recorded, and what occurs in the bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

if TYPE_CHECKING:
    from tests.ec_verify.conftest import Names, Scene

    from ec_closure.findings import Severity


def parts(*paths: str) -> frozenset[str]:
    """Return the hash parts of store paths."""
    return frozenset(path.rpartition("/")[2][:32] for path in paths)


@pytest.fixture
def searched(scene: Scene) -> Scene:
    """Give a scene whose bytes were searched, with every recorded reference in them and no other."""
    manifest = scene.case.manifest
    assert manifest is not None
    for record in manifest.paths:
        scene.look(record.path, occurring=parts(*manifest.references_of(record)))
    return scene.observe(searched=True)


def weights(scene: Scene) -> list[tuple[str, Severity, str | None]]:
    """Return code, weight and path of every finding."""
    return [(finding.code, finding.severity, finding.path) for finding in scene.judge().findings]


def test_references_as_recorded_are_no_finding(searched: Scene) -> None:
    """And are counted."""
    (covered,) = (one for one in searched.judge().coverage if one.step == "references")

    assert [] == weights(searched)
    assert ("done", 5, 5) == (covered.status, covered.done, covered.total)


def test_without_a_search_nothing_is_said_of_one(scene: Scene) -> None:
    """Neither in findings nor in coverage."""
    assert "references" not in {one.step for one in scene.judge().coverage}


def test_path_that_was_not_searched_is_counted(searched: Scene, names: type[Names]) -> None:
    """It may have changed meanwhile."""
    searched.look(names.tool, occurring=None)
    (covered,) = (one for one in searched.judge().coverage if one.step == "references")

    assert ("partly", 4, 5) == (covered.status, covered.done, covered.total)


def test_recorded_reference_that_does_not_occur_fails(searched: Scene, names: type[Names]) -> None:
    """No build makes such a record."""
    searched.look(names.system, occurring=parts(names.tool))

    assert [("EV218", "fail", names.system)] == weights(searched)
    assert "(and 1 more)" in searched.message("EV218")


@pytest.mark.parametrize("other", ["library", "system"])
def test_reference_to_what_the_build_had_is_worth_a_look(searched: Scene, names: type[Names], other: str) -> None:
    """What its inputs refer to, and the path itself."""
    searched.look(names.system, occurring=parts(names.tool, names.editor, names.text, getattr(names, other)))

    assert [("EV219", "warn", names.system)] == weights(searched)


def test_reference_to_another_path_is_information(searched: Scene, names: type[Names]) -> None:
    """Nobody knows whether the build was given it; several are one finding."""
    searched.look(names.library, occurring=parts(names.tool, names.editor))

    assert [("EV219", "info", names.library)] == weights(searched)
    assert "(and 1 more)" in searched.message("EV219")


def test_sources_are_not_held_to_what_they_mention(searched: Scene, names: type[Names]) -> None:
    """Nix searches none; and the references of a text are declared."""
    manifest = searched.case.manifest
    assert manifest is not None
    source = [
        msgspec.structs.replace(one, origin="copied", deriver=None, output=None) if one.path == names.tool else one
        for one in manifest.paths
    ]
    searched.trust(manifest=msgspec.structs.replace(manifest, paths=tuple(source)))
    searched.look(names.tool, occurring=parts(names.library, names.tool)).look(names.text, occurring=parts(names.tool))

    assert [("EV219", "info", names.tool)] == weights(searched)


def test_hash_part_of_no_known_path_is_passed_over(searched: Scene, names: type[Names]) -> None:
    """Such as that of a path that was collected meanwhile."""
    searched.look(names.library, occurring=frozenset({"0" * 32}))

    assert [] == weights(searched)
