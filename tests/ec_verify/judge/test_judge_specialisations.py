"""A specialisation is part of the signed system that holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_verify.conftest import Names, Scene

    from ec_closure.policy import Level


@pytest.fixture
def specialised(scenes: Callable[[Level], Scene], names: type[Names]) -> Scene:
    """Give a system that holds the specialisation `debug`, which is its tool, and runs it."""
    scene = scenes("source")
    assert scene.case.manifest is not None
    system = msgspec.structs.replace(scene.case.manifest.system, specialisations={"debug": names.tool})
    manifest = msgspec.structs.replace(scene.case.manifest, system=system)
    return scene.trust(manifest=manifest, specialisation="debug").run(current=names.tool, booted=names.tool)


def test_a_specialisation_that_runs_is_named_and_passes(specialised: Scene, names: type[Names]) -> None:
    """The profile names the system that holds it, and the source describes that one, too."""
    (found,) = specialised.judge().findings

    assert ("passed", "EV117", "info", names.tool) == (
        specialised.judge().verdict,
        found.code,
        found.severity,
        found.path,
    )
    assert "the running system is the specialisation 'debug' of system" == found.message


@pytest.mark.parametrize(("booted", "current"), [("system", "tool"), ("tool", "system")])
def test_switching_within_a_system_is_no_other_system(
    specialised: Scene, names: type[Names], booted: str, current: str
) -> None:
    """Whichever of both was booted: one signed system holds both."""
    specialised.trust(specialisation="debug" if current == "tool" else None)
    specialised.run(booted=getattr(names, booted), current=getattr(names, current))

    assert ("passed", ["EV117"]) == (specialised.judge().verdict, specialised.codes())


def test_policy_may_forbid_specialisations(specialised: Scene) -> None:
    """A debugging system is signed like any other, and has no business on some nodes."""
    specialised.policy(allow_specialisations=False)

    assert ("failed", ["EV116"]) == (specialised.judge().verdict, specialised.codes())


def test_a_profile_that_names_a_specialisation_itself_points_elsewhere(specialised: Scene, names: type[Names]) -> None:
    """Nobody's upgrade makes such a profile: the next boot would run what nobody chose."""
    specialised.trust(specialisation=None)
    specialised.run(current=names.system, booted=names.system, profile=names.tool)

    assert "failed" == specialised.judge().verdict
    assert "EV302" in specialised.codes()


def test_a_withdrawn_release_takes_its_specialisations_along(specialised: Scene, names: type[Names]) -> None:
    """They were published with it; below the minimum it is the same."""
    specialised.trust(withdrawn=(5,), min_version=6)

    found = {(one.code, one.path) for one in specialised.judge().findings}

    assert {("EV109", names.tool), ("EV110", names.tool)} <= found
