"""What systemd's own generators write stays quiet, unless the kernel's command line asks them for a back door."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ec_verify.location import StoreLocation
from ec_verify.observe import units
from ec_verify.observe.host import Host
from ec_verify.observe.places import HostPlaces

if TYPE_CHECKING:
    from tests.ec_verify.conftest import Scene

STORE = f"/nix/store/{'1' * 32}-systemd"
GENERATORS = Path("/usr/lib/systemd/system-generators")
FSTAB = """\
/dev/disk/by-label/nixos / ext4 defaults 0 1
/dev/disk/by-label/boot /boot vfat fmask=0022,x-systemd.automount,x-systemd.idle-timeout=60 0 2
/dev/disk/by-label/data /srv/data ext4 x-systemd.growfs,x-systemd.makefs,nofail 0 2
/dev/disk/by-label/swap none swap x-systemd.makefs 0 0
tmpfs /tmp tmpfs mode=1777 0 0
/nix/store /nix/store none bind,ro 0 0
overlay /nix/.rw-store overlay lowerdir=/a,upperdir=/b,workdir=/c 0 0
host:/x /net/x nfs soft,_netdev,x-systemd.requires=network-online.target 0 0
"""
CRYPTTAB = "data /dev/disk/by-label/c /etc/key luks,discard\nswap /dev/x /dev/urandom swap,cipher=aes-xts-plain64\n"
COMMAND_LINE = "console=ttyS0 root=LABEL=nixos"


def generate(root: Path, name: str, command_line: str) -> None:
    """Let a generator write below *root* what it would on NixOS, where its programs are the store's."""
    program = GENERATORS / f"systemd-{name}-generator"
    if not program.exists():
        pytest.skip(f"there is no {program}, which is asked what it writes")
    for file, text in (("fstab", FSTAB), ("crypttab", CRYPTTAB)):
        (root / file).write_text(text)
    places = [root / "run/systemd" / place for place in ("generator", "generator.early", "generator.late")]
    for place in places:
        place.mkdir(parents=True)
    said = {"FSTAB": root / "fstab", "CRYPTTAB": root / "crypttab", "PROC_CMDLINE": command_line}
    environment = {f"SYSTEMD_{key}": str(value) for key, value in said.items()}
    subprocess.run([program, *places], env=environment, capture_output=True, timeout=60, check=True)
    for path in (root / "run").rglob("*"):
        if path.is_symlink():
            target = str(path.readlink())
            path.unlink()
            path.symlink_to(target.replace("/usr/lib/systemd/system", STORE).replace("/lib/systemd/system", STORE))
        elif path.is_file():
            path.write_text(path.read_text().replace("/usr/lib/systemd", STORE).replace("/lib/systemd", STORE))


def severities(root: Path, scene: Scene) -> list[str]:
    """Return how much is said of what was written."""
    seen = units.observe(HostPlaces(StoreLocation(root)))
    assert () == seen.gaps
    return [one.severity for one in scene.observe(host=Host(units=seen)).judge().findings]


@pytest.mark.parametrize("name", ["fstab", "cryptsetup", "getty", "debug", "run", "system-update", "veritysetup"])
def test_generators_of_systemd_stay_quiet(tmp_path: Path, scene: Scene, name: str) -> None:
    """Mounts, swaps, encrypted disks, consoles, and links to units of the store."""
    generate(tmp_path, name, COMMAND_LINE)

    assert [] == severities(tmp_path, scene)


def test_generators_are_asked_at_all(tmp_path: Path) -> None:
    """Otherwise they would be quiet for want of units."""
    generate(tmp_path, "fstab", COMMAND_LINE)
    places = HostPlaces(StoreLocation(tmp_path))

    assert {"srv-data.mount", "boot.automount"} <= {one.unit for one in units.observe(places).files}


@pytest.mark.parametrize(
    ("name", "word", "found"),
    [
        ("debug", "systemd.debug_shell", ["fail"]),
        ("debug", "systemd.wants=debug-shell.service", ["fail"]),
        ("debug", "systemd.mask=sshd.service", []),
        ("debug", "systemd.unit=rescue.target", []),
        ("run", "systemd.run=/evil", ["fail"]),
        ("run", "systemd.run=\"sh -c '/evil'\"", ["fail"]),
    ],
)
def test_what_the_command_line_asks_generators_for_is_told(
    tmp_path: Path, scene: Scene, name: str, word: str, found: list[str]
) -> None:
    """The command line has a finding of its own; what comes of it has one here."""
    generate(tmp_path, name, f"{COMMAND_LINE} {word}")

    assert found == severities(tmp_path, scene)
