"""Killed between any two steps: a whole release is served, the old one or the new one, and running again completes it.

The stager runs in a forked process that exits, without any clean-up, before its n-th change to the file system. n grows
until the stager gets through.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from tests.interruption import killed_before

from ec_netboot.staging.receive import Tarball
from ec_netboot.staging.rollback import rollback

if TYPE_CHECKING:
    from collections.abc import Callable


def steps(world: Any, make_world: Any, work: Callable[[Any], object], served: set[int | None]) -> int:
    """Kill *work* before every step in turn; after each, one of *served* is served, and running again completes it."""
    step = 0
    while True:
        copy = make_world(world.path / f"copy-{step}")
        copy.path.mkdir()
        copy.tree, copy.keys, copy.backend = world.tree, world.keys, world.backend
        if world.state.path.exists():
            shutil.copytree(world.state.path, copy.state.path, symlinks=True)
        died = killed_before(step, partial(work, copy))
        assert copy.served() in served
        for release in copy.state.releases.iterdir() if copy.state.releases.exists() else ():
            assert sorted(path.name for path in release.iterdir()) == [
                "initrd",
                "kernel",
                "netboot.ipxe",
                "release.json",
            ]
        work(copy)
        assert list(copy.state.incoming.iterdir()) == []
        shutil.rmtree(copy.path)
        if not died:
            return step
        step += 1


def test_the_first_stage(world: Any, make_image: Any, make_world: Any) -> None:
    """Nothing is served, or the release."""
    world.publish(make_image(1))

    assert steps(world, make_world, lambda copy: copy.stage(), {None, 1}) > 20


def test_a_later_stage(world: Any, make_image: Any, make_world: Any) -> None:
    """The old release stays until the new one is whole; also the removal of old ones can be interrupted."""
    for version in (1, 2, 3):
        world.publish(make_image(version))
        world.stage()
    world.publish(make_image(4))

    def work(copy: Any) -> None:
        copy.stage()

    assert steps(world, make_world, work, {3, 4}) > 20


def test_a_rollback(world: Any, make_image: Any, make_world: Any) -> None:
    """There and back: after it was done, doing it again goes forward."""
    for version in (1, 2):
        world.publish(make_image(version))
        world.stage()

    def work(copy: Any) -> None:
        rollback(copy.state, "x86_64", made=0)

    assert steps(world, make_world, work, {1, 2}) > 5


def test_a_local_archive(world: Any, make_image: Any, make_world: Any) -> None:
    """The copy that was not finished is never taken for the archive."""
    world.publish(make_image(1))
    world.stage()
    file = world.path / "mine.tar.zst"
    file.write_bytes(make_image(7).archive())
    tarball = Tarball(file, hashlib.sha256(file.read_bytes()).hexdigest())

    assert steps(world, make_world, lambda copy: copy.stage(tarball=tarball), {0, 1}) > 10


def test_a_stager_killed_from_outside(world: Any, make_image: Any) -> None:
    """With SIGKILL, as it downloads and unpacks: each time the old release is served, and its successor in the end."""
    world.publish(make_image(1))
    world.stage()
    large = make_image(2)
    large.files["initrd"] = large.boot_initrd + os.urandom(24 << 20)
    world.publish(large)
    file = world.path / "netboot.toml"
    file.write_text(world.toml())
    command = [sys.executable, "-m", "ec_netboot", "stage", "--config", file, "--time", world.time.isoformat()]
    environment = {**os.environ, "TMPDIR": str(world.path)}  # what it cannot remove lies where the rest does
    incoming = world.state.incoming
    for name in ("ec-runner-x86_64-netboot-boot-v2-0123abc.tar.zst", "image", "image/initrd"):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
        while process.poll() is None:  # until it has got so far
            if (incoming / name).exists():
                process.send_signal(signal.SIGKILL)
                break
        _, said = process.communicate()
        assert process.returncode == -signal.SIGKILL, (name, said)
        assert world.served() == 1

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "now served" in done.stdout
    assert world.state.served("x86_64").version == 2
    assert list(incoming.iterdir()) == []


@pytest.mark.root
def test_a_full_disk(world: Any, make_image: Any) -> None:
    """A file system that ends in the middle of the initrd, whatever was free when it was asked."""
    mount = world.path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "small", mount], check=True)
    try:
        world.state = type(world.state)(mount / "state")
        world.publish(make_image(1))
        world.stage()
        large = make_image(2)
        large.files["initrd"] = large.boot_initrd + bytes(64 << 20)  # packs well: the room for the archive is there
        world.publish(large)
        file = world.path / "netboot.toml"
        file.write_text(world.toml())
        command = [sys.executable, "-m", "ec_netboot", "stage", "--config", file, "--time", world.time.isoformat()]

        done = subprocess.run(command, capture_output=True, text=True, check=False)

        assert (done.returncode, "no space left on device" in done.stderr) == (3, True), done.stderr
        assert "what was served before is still served" in done.stderr
        assert world.served() == 1
        world.publish(make_image(3))
        world.stage()
        assert world.served() == 3
    finally:
        subprocess.run(["umount", mount], check=True)
