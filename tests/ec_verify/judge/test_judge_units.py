"""Hostile units and their harmless twins: from the bytes of a file to the weight of what is said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ec_closure.report import MAX_LISTED
from ec_verify.location import StoreLocation
from ec_verify.observe import units
from ec_verify.observe.host import Host
from ec_verify.observe.kernel import Kernel
from ec_verify.observe.places import HostPlaces
from ec_verify.observe.units import UnitFile, Units

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ec_verify.conftest import Names, Scene

STORE = f"/nix/store/{'1' * 32}-tools"
GENERATED = "/run/systemd/generator"
PLACED = "/run/systemd/system"


class Judged:
    """Files and links of a machine, and what is said of them."""

    def __init__(self, root: Path, scene: Scene) -> None:
        self.root = root
        self.scene = scene

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode(errors="surrogateescape"))

    def link(self, path: str, target: str) -> None:
        """Make a link."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(target)

    def severities(self) -> list[str]:
        """Return how much each finding weighs."""
        seen = units.observe(HostPlaces(StoreLocation(self.root)))
        assert () == seen.gaps
        return [one.severity for one in self.scene.observe(host=Host(units=seen)).judge().findings]


@pytest.fixture
def judged(tmp_path: Path, scene: Scene) -> Judged:
    """Give a machine without units."""
    return Judged(tmp_path, scene)


@pytest.mark.parametrize(
    "lines",
    [
        "ExecStart=/evil",
        "ExecStart=@-/evil innocent",
        "ExecStart=@!!/evil innocent",
        "ExecStart=:+-/evil",
        "ExecStart=|/evil",
        'ExecStart="/ev"il',
        r"ExecStart=\x2fevil",
        r"ExecStart=/\145vil",
        f"ExecStart={STORE}/bin/true ; /evil",
        f"ExecStart={STORE}/bin/true \\\n# ExecStart=\n\\\n -- ; /evil",
        f"ExecStart={STORE}/bin/true \\\n# comment\n -- ; /evil",
        f"ExecStart={STORE}/../../../evil",
        f"ExecStart={STORE}/%i",
        "ExecStart=%t/evil",
        "ExecSearchPath=/evil\nExecStart=true",
        "# comment \\\nExecStart=/evil",
        "Description=a \\ \nExecStart=/evil",
        "[X-Ignored\nExecStart=/evil",
        "[X-\udcff]\nExecStart=/evil",
        "ExecStart=/fine\rExecStop=/evil".replace("/fine", STORE),
        "\ufeffExecStopPost=/evil",
        "ExecCondition=/evil",
        "ExecReload=/evil",
        "ExecReloadPost=/evil",
        "[Socket]\nExecStartPre=/evil",
        f"ExecStart={STORE}/bin/sh /evil",
        f"ExecStart={STORE}/bin/env -i A=b /evil",
        f"ExecStart={STORE}/lib/ld-linux-x86-64.so.2 --preload /evil {STORE}/bin/true",
        "Environment=A=b 'LD_PRELOAD=/evil'",
        r"Environment=LD_\x50RELOAD=/evil",
        "Environment=%p_PRELOAD=/evil",
        "EnvironmentFile=-/evil",
        "BindReadOnlyPaths=/evil:/bin",
        f"RootDirectory={STORE}/../../../evil",
        "RootImage=/evil",
        "ExtensionDirectories=/evil",
        "[Socket]\nService=debug-shell.service",
    ],
)
@pytest.mark.parametrize("path", [f"{GENERATED}.early/sshd.service", f"{GENERATED}/sshd.service.d/x.conf"])
def test_nothing_that_runs_evil_hides_among_generated_units(judged: Judged, path: str, lines: str) -> None:
    """Whatever it looks like to a person."""
    judged.write(path, f"[Service]\n{lines}\n")

    assert ["fail"] == judged.severities()


@pytest.mark.parametrize(
    "text",
    [
        f"[Service]\nExecStart=-{STORE}/bin/agetty --noclear %I $TERM\n",
        f"[Service]\nExecStart={STORE}/bin/systemd-cryptsetup attach 'a' '/dev/sda2' '/etc/key'\nKeyringMode=shared\n",
        "[Service]\nExecStart=systemd-growfs /srv\n",
        f"[Service]\nEnvironment=PODMAN_SYSTEMD_UNIT=%n\nExecStart={STORE}/bin/podman run -v /srv:/x x /bin/sh -c y\n",
        f"[Service]\nEnvironment='PATH={STORE}/bin:{STORE}/sbin' A=/b\nExecStart={STORE}/bin/x\n",
        f"[Service]\nExecStart={STORE}/bin/true\n[X-Quadlet]\nExecStart=/evil\nRootImage=/evil\n",
        f"[Unit]\nSourcePath=/etc/fstab\n[Service]\n# ExecStart=/evil\n;ExecStop=/evil\nExecStart={STORE}/x\n",
        "ExecStart=/evil\n[Unit]\nExecStart=/evil\n",
        f"[Service]\nExecStart={STORE}/x \\\n ; /evil\n",
        f"[Service]\nBindReadOnlyPaths=\nExecStart=\nExecStart={STORE}/x ';' /evil\n",
        "[Socket]\nListenStream=vsock::22\nPassSecurity=yes\n",
        "[Mount]\nWhat=/dev/disk/by-label/nixos\nWhere=/\nType=ext4\nOptions=x-initrd.mount\n",
    ],
)
def test_what_generators_write_stays_quiet(judged: Judged, text: str) -> None:
    """Programs of the store with paths of the machine, sections of others, comments."""
    judged.write(f"{GENERATED}/a.service", text)

    assert [] == judged.severities()


@pytest.mark.parametrize(
    "command", ["sh -c 'evil'", "bash -euc evil", "|evil", "python3 -c evil", "@bash -", "sh -i x"]
)
def test_commands_of_a_shell_are_no_generators_way(judged: Judged, command: str) -> None:
    """They are told."""
    judged.write(f"{GENERATED}/a.service", f"[Service]\nExecStart={command}\n")

    assert ["warn"] == judged.severities()


@pytest.mark.parametrize(
    ("path", "target", "found"),
    [
        ("generator/getty.target.wants/serial-getty@ttyS0.service", f"{STORE}/serial-getty@.service", []),
        ("generator/local-fs.target.wants/boot.mount", "../boot.mount", []),
        ("generator/serial-getty@ttyS0.service", f"{STORE}/serial-getty@.service", []),
        ("generator.early/default.target", f"{STORE}/rescue.target", []),
        ("generator/sshd.service", f"{STORE}/other.service", ["warn"]),
        ("generator/x.target.wants/debug-shell.service", f"{STORE}/debug-shell.service", ["fail"]),
        ("generator/x.service", f"{STORE}/debug-shell.service", ["fail"]),
        ("system/x.target.wants/debug-shell.service", "/gone", ["fail"]),
        ("system/x.target.upholds/sshd.service", f"{STORE}/sshd.service", ["warn"]),
        ("system/sshd.service", f"{STORE}/sshd.service", ["warn"]),
        ("system/sshd.service", "/dev/null", ["warn"]),
        ("generator/sshd.service", "/dev/null", []),
        ("system-generators/x", f"{STORE}/bin/x", ["fail"]),
        ("system-generators/x", "/dev/null", ["warn"]),
        ("system/sshd.service", "/gone", []),
    ],
)
def test_links_weigh_by_what_they_start(judged: Judged, path: str, target: str, found: list[str]) -> None:
    """Generators enable units of the store all day long; only they do."""
    judged.link(f"/run/systemd/{path}", target)

    assert found == judged.severities()


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("generator/nix-store.mount", "[Mount]\nWhat=overlay\nWhere=/nix/store\n", []),
        ("generator/nix.mount", "[Mount]\nWhat=/dev/x\nWhere=/nix\n", []),
        ("generator/nix-.ro\\x2dstore.mount", "[Mount]\nWhat=/dev/x\nWhere=/nix/.ro-store\n", []),
        ("generator/nix-store-x\\x2dy.mount", "[Mount]\nWhat=/evil\nWhere=%f\n", ["fail"]),
        ("generator/nix-store.mount.d/x.conf", "[Mount]\nOptions=lowerdir=/evil\n", ["fail"]),
        ("system/nix.mount", "[Mount]\nWhat=/evil\nWhere=/nix\n", ["fail"]),
        ("transient/nix-store-x.mount", "[Mount]\nWhat=/evil\nWhere=/nix/store/x\n", ["fail"]),
        ("transient/mnt.mount", "[Mount]\nWhat=/dev/sdb\nWhere=/mnt\n", []),
        ("system/mnt.mount", "[Mount]\nWhat=/dev/sdb\nWhere=/mnt\n", ["warn"]),
    ],
)
def test_mounts_over_the_store_fail(judged: Judged, path: str, text: str, found: list[str]) -> None:
    """Their names say where they mount; the whole store is mounted by fstab, on some machines."""
    judged.write(f"/run/systemd/{path}", text)

    assert found == judged.severities()


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        (
            "system.control/a.service.d/50-CPUWeight.conf",
            "# by systemctl\n[Service]\nCPUWeight=5\nIPAddressDeny=any\n",
            [],
        ),
        ("system.control/a.service.d/x.conf", "[Unit]\nWants=x.service\n", ["warn"]),
        ("system.control/a.service.d/x.conf", "[Unit]\nWants=debug-shell.service\n", ["fail"]),
        ("system.control/a.service.d/x.conf", "[Service]\nExecSearchPath=/evil\n", ["fail"]),
        ("system/user-1000.slice.d/50-limits.conf", "[Slice]\nMemoryMax=1G\nTasksMax=9\n", []),
        ("system/user-1000.slice.d/x.conf", "[Unit]\nWants=x.service\n", ["warn"]),
        ("system/service.d/x.conf", "[Service]\nPAMName=evil\n", ["fail"]),
        ("system/foo-.service.d/x.conf", "[Service]\nNice=5\n", ["warn"]),
        ("system.conf", "[Manager]\nDefaultEnvironment=A=b\n", ["fail"]),
        ("system.conf.d/x.conf", "[Manager]\nDefaultTimeoutStopSec=9\n", ["warn"]),
        ("transient/session-2.scope", "[Scope]\nSlice=user-1000.slice\nTasksMax=infinity\n", []),
        ("transient/run-u1.service", f"[Service]\nExecStart=\nExecStart=@{STORE}/bin/x x\nEnvironment=A=b\n", []),
        ("transient/run-u1.service", f"[Service]\nExecStart=@{STORE}/bin/x x ; /evil\n", ["warn"]),
        ("transient/sshd.service", "[Service]\nExecStart=/evil\n", ["fail"]),
        ("transient/sshd.service.d/x.conf", "[Service]\nExecStartPost=/evil\n", ["fail"]),
        ("transient/getty@tty1.service.d/x.conf", "[Service]\nExecStartPost=/evil\n", ["fail"]),
        ("transient/service.d/x.conf", "[Service]\nExecStartPost=/evil\n", ["fail"]),
        ("transient/run-.service.d/x.conf", "[Service]\nExecStartPost=/evil\n", ["fail"]),
        ("transient/run-u1.service.d/x.conf", "[Service]\nDescription=x\n", []),
    ],
)
def test_what_is_placed_weighs_by_what_it_says(judged: Judged, path: str, text: str, found: list[str]) -> None:
    """Limits are quiet where they are set by command; programs never are, least of all in units that the system has."""
    for name in ("sshd.service", "getty@.service"):
        judged.write(f"{STORE}/units/{name}", "")
    judged.link("/etc/systemd/system", f"{STORE}/units")
    judged.write(f"/run/systemd/{path}", text)

    assert found == judged.severities()


@pytest.mark.parametrize(
    ("words", "found"), [(("systemd.mask=firewall.service",), []), (("systemd.mask=other.service",), ["warn"])]
)
def test_a_mask_among_generated_units_was_asked_for(
    judged: Judged, names: type[Names], words: tuple[str, ...], found: list[str]
) -> None:
    """By the kernel's command line; no generator masks a unit by itself."""
    judged.link(f"{GENERATED}.early/firewall.service", "/dev/null")
    kernel = Kernel(names.system, "6.12", (f"init={names.system}/init", *words), words)
    seen = units.observe(HostPlaces(StoreLocation(judged.root)))
    findings = judged.scene.observe(host=Host(units=seen, kernel=kernel)).judge().findings

    assert found == [one.severity for one in findings]


def test_what_cannot_be_read_as_a_unit_fails(judged: Judged) -> None:
    """But systemd reads a file of many megabytes."""
    judged.write(f"{PLACED}/a.service", "#" * (2 << 20) + "\n[Service]\nExecStart=/evil\n")

    assert ["fail"] == judged.severities()


def test_a_thousand_harmless_units_hide_no_other(scene: Scene) -> None:
    """The gravest are told first."""
    crowd = [UnitFile(f"/etc/systemd/system.control/{number}.mount", "persistent") for number in range(MAX_LISTED)]
    evil = UnitFile("/run/systemd/system/z.service", "runtime", (("ExecStart", "/evil"),))
    findings = scene.observe(host=Host(units=Units((*crowd, evil)))).judge().findings

    assert ("/run/systemd/system/z.service", MAX_LISTED) == (findings[0].path, len(findings))
