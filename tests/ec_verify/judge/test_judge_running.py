"""Whether what runs, what was booted and what will boot are one system."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ec_verify.observe.mounts import Mount

if TYPE_CHECKING:
    from tests.ec_verify.conftest import Names, Scene


def test_an_upgrade_that_waits_for_its_reboot_is_a_warning(scene: Scene, names: type[Names]) -> None:
    """Another *trusted* system in the profile is how upgrades look."""
    other = names.manifest_of([names.record(names.tool)], system=names.tool, version=6)
    scene.run(profile=names.tool)
    assert ("failed", ["EV302"]) == (scene.judge().verdict, scene.codes())

    scene.trust(others=(other,))
    assert ("passed", ["EV304"]) == (scene.judge().verdict, scene.codes())


def test_a_profile_that_leads_nowhere_is_told_in_words(scene: Scene) -> None:
    """No `None` in a message: the profile leads to no store path."""
    scene.run(profile=None)

    assert "leads to no store path" in scene.message("EV302")
    assert [None] == [finding.path for finding in scene.judge().findings]


def test_an_image_has_no_profile_and_that_is_no_fault(scene: Scene) -> None:
    """Netboot and ISO systems have neither link nor generation: coverage says what is not known."""
    scene.run(profile=None, has_profile=False)

    assert ("passed", []) == (scene.judge().verdict, scene.codes())
    reasons = [reason for step in scene.judge().coverage if step.step == "running state" for reason in step.reasons]
    assert [True] == [True for reason in reasons if reason.startswith("no system profile")]


def test_a_machine_without_a_running_system_fails(scene: Scene) -> None:
    """Whoever removes the link does not escape the question."""
    scene.run(current=None, booted=None, profile=None)

    assert ("failed", ["EV301"]) == (scene.judge().verdict, scene.codes())


def test_what_was_booted_must_be_trusted(scene: Scene, names: type[Names]) -> None:
    """Its kernel still runs: a system that nobody published must not hide behind a switch to one that was."""
    other = names.manifest_of([names.record(names.tool)], system=names.tool, version=4)
    scene.run(booted=names.tool)
    assert ("failed", ["EV306"]) == (scene.judge().verdict, scene.codes())

    scene.trust(others=(other,))
    assert ("passed", ["EV304"]) == (scene.judge().verdict, scene.codes())


def test_the_kernel_may_have_been_started_for_another_system(scene: Scene, names: type[Names]) -> None:
    """The command line is compared with what was booted, not with what is current."""
    other = names.manifest_of([names.record(names.tool)], system=names.tool, version=4)
    scene.trust(others=(other,)).run(booted=names.tool, command_line_init=names.tool)
    assert ["EV304"] == scene.codes()

    scene.run(command_line_init="/bin/sh")
    assert ["EV305", "EV304"] == scene.codes()


@pytest.mark.parametrize(("init", "codes"), [(None, []), ("system", []), ("/bin/sh", ["EV305"])])
def test_without_booted_system_the_command_line_is_held_against_the_current_one(
    scene: Scene, names: type[Names], init: str | None, codes: list[str]
) -> None:
    """Whoever removes the link does not escape the comparison."""
    scene.run(booted=None, command_line_init=names.system if init == "system" else init)

    assert codes == scene.codes()


@pytest.mark.parametrize("what", ["profile", "booted"])
@pytest.mark.parametrize(("changes", "code"), [({"withdrawn": (4,)}, "EV109"), ({"min_version": 5}, "EV110")])
def test_a_release_that_was_taken_back_must_not_come_next_either(
    scene: Scene, names: type[Names], what: str, changes: dict[str, object], code: str
) -> None:
    """What was booted and what boots next stand as the running system does; other generations may be old."""
    other = names.manifest_of([names.record(names.tool)], system=names.tool, version=4)
    scene.trust(others=(other,), **changes)
    assert [] == scene.codes()

    assert {code, "EV304"} == set(scene.run(**{what: names.tool}).codes())


def test_each_mount_over_the_store_is_a_finding(scene: Scene, names: type[Names]) -> None:
    """A mount hides what was hashed, whatever it is."""
    scene.observe(mounts=tuple(Mount(f"{names.tool}/{name}", "tmpfs", "tmpfs", "/", "rw") for name in ("bin", "share")))

    assert [f"{names.tool}/bin", f"{names.tool}/share"] == [finding.path for finding in scene.judge().findings]
