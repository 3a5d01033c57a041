"""What lies and runs around a store: each observer on a small machine below a directory."""

from __future__ import annotations

import lzma
import os
import shutil
import struct
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ec_verify.location import StoreLocation
from ec_verify.observe import boot, etc, host, kernel, kernel_modules, preload, processes
from ec_verify.observe.places import HostPlaces
from ec_verify.observe.running import Running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SYSTEM = f"/nix/store/{'0' * 32}-system"
ETC = f"/nix/store/{'1' * 32}-etc"
LINUX = f"/nix/store/{'2' * 32}-linux"


class Machine:
    """A machine with a system, a kernel and an /etc as NixOS makes it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.places = HostPlaces(StoreLocation(root))
        self.write(f"{ETC}/etc/hosts", "hosts\n")
        self.write(f"{ETC}/etc/sudoers", "root\n")
        for name, word in (("mode", "0440"), ("uid", f"+{os.getuid()}"), ("gid", f"+{os.getgid()}")):
            self.write(f"{ETC}/etc/sudoers.{name}", f"{word}\n")
        self.write(f"{LINUX}/bzImage", "the kernel")
        self.write(f"{LINUX}/initrd", "the initial RAM disk")
        self.write(f"{SYSTEM}/kernel-params", "quiet loglevel=4")
        for name, target in (("etc", f"{ETC}/etc"), ("kernel", f"{LINUX}/bzImage"), ("initrd", f"{LINUX}/initrd")):
            self.link(f"{SYSTEM}/{name}", target)
        self.link("/etc/static", f"{ETC}/etc")
        self.link("/etc/hosts", "/etc/static/hosts")
        self.write("/etc/sudoers", "root\n").chmod(0o440)

    def path(self, path: str) -> Path:
        """Return where *path* is."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def write(self, path: str, text: str) -> Path:
        """Write a file."""
        file = self.path(path)
        file.unlink(missing_ok=True)
        file.write_text(text)
        return file

    def link(self, path: str, target: str) -> None:
        """Make a link, in place of what was there."""
        self.path(path).unlink(missing_ok=True)
        self.path(path).symlink_to(target)

    def entry(self, name: str = "a", words: str = "quiet loglevel=4") -> None:
        """Add a boot entry with its files."""
        self.write("/boot/EFI/nixos/k.efi", "the kernel")
        self.write("/boot/EFI/nixos/i.efi", "the initial RAM disk")
        self.write(
            f"/boot/loader/entries/{name}.conf",
            f"linux /EFI/nixos/K.EFI\ninitrd /EFI/nixos/i.efi\noptions init={SYSTEM}/init {words}\n",
        )

    def departures(self) -> set[tuple[str, str]]:
        """Return how /etc departs."""
        return {(one.name, one.departure) for one in etc.observe(self.places, SYSTEM).entries}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Give a machine."""
    return Machine(tmp_path)


def test_an_etc_that_the_script_made_departs_in_nothing(machine: Machine) -> None:
    """Links through /etc/static, and copies with their modes."""
    assert (set(), 2) == (machine.departures(), etc.observe(machine.places, SYSTEM).known)


def test_an_etc_that_is_an_overlay_departs_in_nothing(machine: Machine) -> None:
    """There is no /etc/static, and links lead straight to what the system's etc links to."""
    (machine.root / "etc/static").unlink()
    source = machine.write(f"{LINUX}/hosts", "hosts\n")
    machine.link(f"{ETC}/etc/hosts", f"{LINUX}/{source.name}")
    machine.link("/etc/hosts", f"{LINUX}/hosts")

    assert set() == machine.departures()


@pytest.mark.parametrize(
    ("act", "departure"),
    [
        (lambda one: one.link("/etc/static", "/var/etc"), ("static", "static")),
        (lambda one: one.link("/etc/hosts", "/var/hosts"), ("hosts", "shadowed")),
        (lambda one: one.write("/etc/hosts", "hosts\n"), ("hosts", "shadowed")),
        (lambda one: one.path("/etc/hosts").unlink(), ("hosts", "missing")),
        (lambda one: one.link("/etc/sudoers", "/etc/static/sudoers"), ("sudoers", "shadowed")),
        (lambda one: one.write("/etc/sudoers", "evil\n").chmod(0o440), ("sudoers", "altered")),
        (lambda one: one.path("/etc/sudoers").chmod(0o666), ("sudoers", "mode")),
        (lambda one: one.write("/etc/profile.local", "evil\n"), ("profile.local", "stray")),
        (lambda one: one.link("/etc/deep/er", "/x"), ("deep/er", "stray")),
    ],
)
def test_every_departure_of_etc_is_seen(
    machine: Machine, act: Callable[[Machine], object], departure: tuple[str, str]
) -> None:
    """One by one."""
    act(machine)

    assert {departure} == machine.departures()


def test_boot_files_are_hashed_and_found_whatever_their_case(machine: Machine) -> None:
    """Boot partitions know no case."""
    machine.entry()
    seen = boot.observe(machine.places, [SYSTEM])

    (entry,) = seen.entries
    assert (SYSTEM, True, ()) == (entry.system, entry.next, seen.gaps)
    assert entry.kernel is not None
    stored = seen.systems[SYSTEM]
    assert stored.kernel is not None
    assert stored.initrd is not None
    assert [stored.kernel.sha256, stored.initrd.sha256] == [entry.kernel.sha256, entry.initrds[0].sha256]
    assert ("quiet", "loglevel=4") == stored.parameters


def test_what_is_appended_to_a_boot_file_is_told_from_what_was_there(machine: Machine) -> None:
    """Secrets are appended: the beginning is still the system's."""
    machine.entry()
    machine.write("/boot/EFI/nixos/i.efi", "the initial RAM disk, and more")
    seen = boot.observe(machine.places, [])
    stored = seen.systems[SYSTEM].initrd

    assert stored is not None
    assert stored.sha256 == dict(seen.entries[0].initrds[0].beginnings)[stored.size]
    assert stored.sha256 != seen.entries[0].initrds[0].sha256


def test_a_directory_below_another_one_is_looked_at_once(machine: Machine) -> None:
    """On vfat /boot/efi is /boot/EFI: what entries of /boot name there is no leftover of somebody's."""
    machine.write("/boot/efi/nixos/k.efi", "the kernel")
    machine.write("/boot/loader/entries/a.conf", f"linux /EFI/nixos/k.efi\noptions init={SYSTEM}/init\n")
    seen = boot.observe(replace(machine.places, boot=("/boot", "/boot/efi")), [])

    assert ["/boot/efi/nixos/k.efi"] == [one.kernel.path for one in seen.entries if one.kernel is not None]
    assert () == seen.others


def test_an_entry_whose_files_are_gone_says_so(machine: Machine) -> None:
    """And a path that climbs out of the partition names nothing."""
    machine.entry()
    (machine.root / "boot/EFI/nixos/k.efi").unlink()
    machine.write("/boot/loader/entries/b.conf", f"linux /../etc/hosts\noptions init={SYSTEM}/init\n")

    assert [True, True] == [
        one.kernel.missing for one in boot.observe(machine.places, []).entries if one.kernel is not None
    ]


def test_a_menu_without_end_is_a_gap(machine: Machine) -> None:
    """And as much of it is read as anybody has."""
    machine.write("/boot/grub/grub.cfg", f"menuentry a {{ linux /k\ninitrd {'i ' * 100} }}\n" * 6000)
    seen = boot.observe(machine.places, [])

    assert ("/boot: more than 5000 entries, or 50 initial RAM disks in one",) == seen.gaps
    assert (5000, 50) == (len(seen.entries), len(seen.entries[0].initrds))


def test_a_default_without_end_is_a_gap(machine: Machine) -> None:
    """Nobody knows then what is started."""
    machine.entry()
    machine.write("/boot/loader/loader.conf", f"default {'[' * 5000}")

    assert ("/boot: what is started by default is more than 1000 characters long",) == (
        boot.observe(machine.places, []).gaps
    )


def test_the_section_of_an_image_is_no_file_of_that_name(machine: Machine) -> None:
    """A file may be called as sections are called here."""
    machine.write("/boot/a.efi", "MZ")
    machine.write("/boot/a.efi:.linux", "evil")
    machine.write("/boot/loader/entries/b.conf", f"linux /a.efi:.linux\noptions init={SYSTEM}/init\n")
    (entry,) = boot.observe(machine.places, []).entries

    assert entry.kernel is not None
    assert ("/boot/a.efi:.linux", 4) == (entry.kernel.path, entry.kernel.size)


def test_an_image_whose_kernel_is_not_found_is_a_program_of_its_own(machine: Machine) -> None:
    """Firmware starts it all the same."""
    machine.write("/boot/EFI/Linux/evil.efi", "MZ evil")
    seen = boot.observe(machine.places, [])

    assert [("/boot/EFI/Linux/evil.efi", None, True)] == [(one.program, one.kernel, one.next) for one in seen.entries]
    assert ["/boot/EFI/Linux/evil.efi"] == [one.path for one in seen.others if one.executable]


def test_a_kernel_that_never_ends_is_not_waited_for(machine: Machine) -> None:
    """What a system calls its kernel may be a pipe, or a device."""
    os.mkfifo(machine.path("/srv/pipe"))
    machine.link(f"{SYSTEM}/kernel", "/srv/pipe")
    machine.link(f"{SYSTEM}/initrd", "/dev/zero")
    machine.entry()
    stored = boot.observe(machine.places, []).systems[SYSTEM]

    assert (None, None) == (stored.kernel, stored.initrd)


def test_programs_that_no_entry_names_are_listed_as_such(machine: Machine) -> None:
    """A program is told by its first bytes, not by its name."""
    machine.entry()
    machine.write("/boot/EFI/BOOT/BOOTX64.EFI", "MZ program")
    machine.write("/boot/notes", "text")

    assert {("/boot/EFI/BOOT/BOOTX64.EFI", True), ("/boot/notes", False)} == {
        (one.path, one.executable) for one in boot.observe(machine.places, []).others
    }


def test_files_of_the_store_that_grub_names_are_known_as_such(machine: Machine) -> None:
    """Where kernels are not copied, the path starts at the store's partition."""
    image = LINUX.removeprefix("/nix")
    machine.write("/boot/grub/grub.cfg", f"menuentry a {{\nlinux ($drive1){image}/bzImage init={SYSTEM}/init\n}}\n")
    (entry,) = boot.observe(machine.places, []).entries

    assert entry.kernel is not None
    assert (LINUX, f"{LINUX}/bzImage") == (entry.kernel.store_path, entry.kernel.path)


def test_a_machine_that_has_nothing_has_no_gaps(tmp_path: Path) -> None:
    """Nothing is missing where nothing belongs."""
    seen = host.observe(HostPlaces(StoreLocation(tmp_path)), Running(None, None, None))

    assert not any(seen.gaps.values())
    assert ((), (), ()) == (seen.boot.entries, seen.etc.entries, seen.units.files)


def test_preload_files_are_own_only_if_they_are_the_systems(machine: Machine) -> None:
    """The same words in another file are another file."""
    machine.write(f"{ETC}/etc/ld-nix.so.preload", "/x.so\n")
    machine.link("/etc/ld-nix.so.preload", "/etc/static/ld-nix.so.preload")
    machine.write("/etc/ld.so.preload", "/y.so:/z.so\n")

    assert [(True, ("/x.so",)), (False, ("/y.so", "/z.so"))] == [
        (one.own, one.words) for one in preload.observe(machine.places, SYSTEM).found
    ]


@pytest.mark.root
def test_a_process_that_ends_meanwhile_is_no_gap(machine: Machine) -> None:
    """Numbers that lead nowhere are passed over."""
    proc = machine.root / "proc"
    (proc / "4711").mkdir(parents=True)
    (proc / "self/ns").mkdir(parents=True)
    (proc / "self/ns/mnt").symlink_to("mnt:[1]")
    seen = processes.observe(HostPlaces(StoreLocation(machine.root), proc=proc))

    assert ((), 0, ()) == (seen.images, seen.examined, seen.gaps)


@pytest.mark.root
def test_a_program_of_the_store_is_told_from_its_replacement(machine: Machine) -> None:
    """By inode, or else byte by byte: an equal file in its place changes nothing."""
    shell, chroot = shutil.which("bash-static"), shutil.which("chroot", path="/usr/sbin:/usr/bin")
    if shell is None or chroot is None:
        pytest.skip("there is no static shell")
    path = f"/nix/store/{'3' * 32}-shell"
    shutil.copy(shell, machine.path(path))
    command = [chroot, str(machine.root), path, "-c", "echo ready; read -r line"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"ready\n" == process.stdout.readline()
        states = [processes.observe(machine.places).images[0].state]
        twin = machine.path("/twin")
        shutil.copy(shell, twin)
        twin.rename(machine.path(path))
        states.append(processes.observe(machine.places).images[0].state)
        machine.write(path, "another")
        states.append(processes.observe(machine.places).images[0].state)
        process.kill()

    assert ["same", "same", "differs"] == states


def test_modules_are_compared_by_their_build_ids(tmp_path: Path) -> None:
    """Also those that are packed; a module without a file has none."""
    own, other = bytes(range(20)), bytes(20)
    heads = [struct.pack("<III", 4, 20, 3) + b"GNU\0" + ident for ident in (own, other)]
    proc, sys, files = tmp_path / "proc", tmp_path / "sys", tmp_path / "modules"
    for directory in (proc, files, sys / "module/good/notes", sys / "module/bad/notes"):
        directory.mkdir(parents=True)
    (proc / "modules").write_bytes(b"".join(b"%s 1 0 - Live 0x0\n" % name for name in (b"good", b"bad", b"strange")))
    (files / "modules.dep").write_text("good.ko.xz:\nbad.ko:\n")
    elf = b"\x7fELF".ljust(64, b"\0")
    (files / "good.ko.xz").write_bytes(lzma.compress(elf + heads[0]))
    (files / "bad.ko").write_bytes(elf + heads[0])
    (sys / "module/good/notes/.note.gnu.build-id").write_bytes(heads[0])
    (sys / "module/bad/notes/.note.gnu.build-id").write_bytes(heads[1])
    found = kernel_modules.observe(proc, sys, files)

    assert [("good", True, "good.ko.xz"), ("bad", False, "bad.ko"), ("strange", True, None)] == [
        (one.name, one.build_id == one.file_build_id, one.file) for one in found
    ]


def test_another_roots_kernel_is_not_looked_at(machine: Machine) -> None:
    """It is this machine's, not that one's."""
    assert kernel.observe(machine.places, SYSTEM) is None
