"""The control group of a ghost, over a hierarchy of plain files, and over the kernel's where it gives us one."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from ec_verify.ghost import cgroup
from ec_verify.ghost.cgroup import Group, delegated
from ec_verify.priority import current

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Give a unit of a hierarchy of plain files, which has every controller and no process."""
    path = tmp_path / "system.slice" / "ec-verify.service"
    path.mkdir(parents=True)
    for name, text in {
        "cgroup.controllers": "cpuset cpu io memory pids\n",
        "cgroup.subtree_control": "",
        "cgroup.procs": "",
        "cpu.weight": "100\n",
    }.items():
        (path / name).write_text(text)
    return path


def own(tmp_path: Path, text: str) -> Path:
    """Return a file that says what `/proc/self/cgroup` says."""
    file = tmp_path / "own"
    file.write_text(text)
    return file


def test_only_what_was_delegated_is_ours(unit: Path, tmp_path: Path) -> None:
    """Root may write everywhere: that a group can be written to is no permission."""
    inside = own(tmp_path, "5:memory:/x\n0::/system.slice/ec-verify.service\n")

    assert unit == delegated(tmp_path, inside, lambda group: group == unit)
    assert delegated(tmp_path, inside, lambda _group: False) is None


@pytest.mark.parametrize(("below", "ours"), [("verifier", True), ("payload", False)])
def test_the_group_above_is_ours_only_where_we_were_put_below_it(
    unit: Path, tmp_path: Path, below: str, *, ours: bool
) -> None:
    """By systemd when asked to, or by the first ghost. Another group's parent may be a container manager's."""
    inside = own(tmp_path, f"0::/system.slice/ec-verify.service/{below}\n")

    assert (unit if ours else None) == delegated(tmp_path, inside, lambda group: group == unit)


@pytest.mark.parametrize("text", ["", "4:memory:/x\n", "0::/../x\n"])
def test_without_a_group_of_version_2_nothing_is_ours(tmp_path: Path, text: str) -> None:
    """Not even where its name would lead out of the hierarchy."""
    assert delegated(tmp_path, own(tmp_path, text), lambda _group: True) is None


def test_a_group_has_its_weights_and_its_memory_and_goes_away(unit: Path) -> None:
    """The group's files hold what was asked for, and what is left of a killed run goes, too."""
    (unit / "ghost-1-left").mkdir()
    with Group(unit, 20, 2 << 30, shutil.rmtree) as group:
        (path,) = unit.glob("ghost-*")
        files = {file.name: file.read_text() for file in path.iterdir()}
        assert {"cpu.weight": "20", "io.weight": "20", "memory.max": "2147483648", "memory.oom.group": "1"} == files
        assert "cgroup: cpu weight 20 in a unit of 100, memory 2048 MiB" == group.said
        assert [str(path / "cgroup.procs"), "nix", "--version"] == group.command(["nix", "--version"])[-3:]

    assert [] == list(unit.glob("ghost-*"))
    assert ["true"] == group.command(["true"])


def test_a_command_enters_the_group_before_it_starts(unit: Path) -> None:
    """It moves itself, so that no child of it can be elsewhere."""
    with Group(unit, 20, 0, shutil.rmtree) as group:
        answer = subprocess.run(group.command(["echo", "hello"]), capture_output=True, text=True, check=True).stdout
        (path,) = unit.glob("ghost-*")
        assert ("hello\n", "0") == (answer, (path / "cgroup.procs").read_text())


def test_what_the_kernel_killed_for_lack_of_memory_is_counted(unit: Path) -> None:
    """So that it is not mistaken for a builder that fails."""
    with Group(unit, 0, 1 << 20, shutil.rmtree) as group:
        assert 0 == group.kills()
        (path,) = unit.glob("ghost-*")
        (path / "memory.events").write_text("low 0\nmax 3\noom 1\noom_kill 2\noom_group_kill 1\n")
        assert 2 == group.kills()


def test_a_missing_controller_is_told(unit: Path) -> None:
    """What does not apply is not said to apply."""
    (unit / "cgroup.controllers").write_text("pids\n")
    with Group(unit, 20, 1 << 30, shutil.rmtree) as group:
        assert f"cgroup: no cpu controller, nice {current()}, no memory controller" == group.said


def test_a_kernel_that_refuses_is_told_and_everything_still_runs(unit: Path) -> None:
    """A hierarchy with a process that cannot be moved gives no group."""
    (unit / "cgroup.controllers").unlink()
    with Group(unit, 20, 1 << 30, shutil.rmtree) as group:
        assert f"no delegated cgroup (No such file or directory): nice {current()}, no memory limit" == group.said
        assert ["true"] == group.command(["true"])
    assert [] == list(unit.glob("ghost-*"))


def test_without_delegation_there_is_no_group(unit: Path) -> None:
    """It is said what applies in its place; nothing is, when nothing was asked for."""
    with Group(None, 20, 0) as group:
        assert f"no delegated cgroup: nice {current()}" == group.said
    with Group(unit, 0, 0) as nothing:
        assert "" == nothing.said
    assert [] == list(unit.glob("ghost-*"))


@pytest.mark.root
def test_with_the_kernels_own_hierarchy() -> None:
    """Processes of the group are in it, and it is gone afterwards."""
    mount = next((path for path in (cgroup.MOUNT, cgroup.MOUNT / "unified") if cgroup.is_version_2(path)), None)
    if mount is None or not os.access(mount, os.W_OK):
        pytest.skip("no writable cgroup hierarchy of version 2 on this machine")
    base = mount / f"ec-verify-test-{os.getpid()}"
    base.mkdir()
    try:
        with Group(base, 20, 64 << 20) as group:
            shown = subprocess.run(
                group.command(["cat", "/proc/self/cgroup"]), capture_output=True, text=True, check=True
            ).stdout
            assert f"0::/{base.name}/ghost-{os.getpid()}-" in shown
            assert group.said.startswith("cgroup: ")
        assert [] == [one for one in base.iterdir() if one.is_dir()]
    finally:
        base.rmdir()
