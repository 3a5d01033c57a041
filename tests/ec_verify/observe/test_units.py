"""What is found where systemd looks for units, on a small machine below a directory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ec_verify.location import StoreLocation
from ec_verify.observe import units
from ec_verify.observe.places import HostPlaces
from ec_verify.observe.units import Program, UnitFile

if TYPE_CHECKING:
    from pathlib import Path

STORED = f"/nix/store/{'1' * 32}-units"
RUN = "[Service]\nExecStart=/evil\n"
LINKED = ("c.service", "d.service", "e.service.d/x.conf")
EVIL = (Program("/evil", "/evil"),)


class Machine:
    """A machine with some files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.places = HostPlaces(StoreLocation(root))
        self.write(f"{STORED}/a.service", "[Service]\nExecStart=/x\n")

    def path(self, path: str) -> Path:
        """Return where *path* is; its directory exists."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        return file

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        self.path(path).write_text(text)

    def link(self, path: str, target: str) -> None:
        """Make a link."""
        self.path(path).symlink_to(target)

    def seen(self) -> dict[str, UnitFile]:
        """Return what is found, by path."""
        found = units.observe(self.places)
        assert () == found.gaps
        return {one.path: one for one in found.files}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Give a machine."""
    return Machine(tmp_path)


@pytest.mark.parametrize("directory", units.DIRECTORIES)
def test_every_directory_of_systemds_is_looked_into(machine: Machine, directory: str) -> None:
    """Whoever makes files there."""
    machine.write(f"{directory}/a.service", RUN)

    assert [f"{directory}/a.service"] == list(machine.seen())


def test_what_the_system_links_whole_is_passed_over(machine: Machine) -> None:
    """It is hashed with the store; single links in /etc are compared with the system's etc."""
    machine.link("/etc/systemd/system", STORED)
    machine.link("/etc/systemd/system-generators/a", f"{STORED}/a.service")
    machine.link("/etc/static", STORED)
    machine.link("/etc/systemd/system.conf", "../static/a.service")

    assert {} == machine.seen()


def test_configuration_that_the_system_copies_is_compared_with_the_rest_of_etc(machine: Machine) -> None:
    """And with nothing here."""
    machine.write(f"{STORED}/etc/systemd/system.conf.mode", "0400")
    machine.write("/etc/systemd/system.conf", "[Manager]\nDefaultEnvironment=A=b\n")

    assert () == units.observe(machine.places, STORED).files
    assert 1 == len(units.observe(machine.places).files)


def test_what_only_names_a_unit_of_the_store_is_told_as_a_link(machine: Machine) -> None:
    """The unit is the store's; that it is started, or under which name, is not."""
    machine.link("/run/systemd/generator/x.target.wants/a.service", f"{STORED}/a.service")
    machine.link("/run/systemd/system/b.service", f"{STORED}/a.service")

    assert {
        "/run/systemd/generator/x.target.wants/a.service": (True, f"{STORED}/a.service", ()),
        "/run/systemd/system/b.service": (False, f"{STORED}/a.service", ()),
    } == {path: (one.wish, one.target, one.programs) for path, one in machine.seen().items()}


def test_a_drop_in_is_read_with_all_that_it_takes_back(machine: Machine) -> None:
    """Commands that a later line removes may be there for somebody who does not read that line."""
    path = "/run/systemd/system/a.service.d/x.conf"
    machine.write(path, "[Service]\nExecStart=-/opt/x \\\n  --more\nExecStart=\n")
    file = machine.seen()[path]

    assert ("runtime", True, "a.service") == (file.place, file.drop_in, file.unit)
    assert (("ExecStart", "-/opt/x    --more"), ("ExecStart", "")) == file.settings
    assert (Program("/opt/x", "/opt/x", ("--more",)),) == file.programs


@pytest.mark.parametrize("target", ["/srv/evil.service", "../../../srv/evil.service", "one.service"])
def test_links_are_read_where_they_lead(machine: Machine, target: str) -> None:
    """Absolute, relative, and over other links; `systemctl link` makes them."""
    machine.write("/srv/evil.service", RUN)
    machine.link("/run/systemd/system/evil.service", target)
    machine.link("/run/systemd/system/one.service", "/two.service")
    machine.link("/two.service", "srv/evil.service")
    file = machine.seen()["/run/systemd/system/evil.service"]

    assert ("/srv/evil.service", EVIL) == (file.target, file.programs)


def test_links_to_directories_of_drop_ins_are_followed(machine: Machine) -> None:
    """As systemd does."""
    machine.write("/srv/drop-ins/x.conf", RUN)
    machine.link("/run/systemd/system/a.service.d", "/srv/drop-ins")
    machine.link("/run/systemd/system/b.service.d", "a.service.d")
    machine.link("/run/systemd/system/d.service.d", "../transient/d.service.d")
    machine.write("/run/systemd/transient/d.service.d/x.conf", RUN)

    assert {
        "/run/systemd/transient/d.service.d/x.conf": "",
        "/run/systemd/system/d.service.d/x.conf": "",
        "/run/systemd/system/a.service.d/x.conf": "",
        "/run/systemd/system/b.service.d/x.conf": "",
    } == {path: one.flaw for path, one in machine.seen().items()}


def test_a_directory_of_drop_ins_that_leads_to_itself_ends(machine: Machine) -> None:
    """What lies in it is seen once more."""
    machine.link("/run/systemd/system/c.service.d", ".")
    machine.write("/run/systemd/system/x.conf", RUN)
    seen = machine.seen()

    assert "is no regular file" == seen.pop("/run/systemd/system/c.service.d/c.service.d").flaw
    assert {"/run/systemd/system/x.conf", "/run/systemd/system/c.service.d/x.conf"} == seen.keys()


def test_links_that_mask_or_lead_nowhere_are_told(machine: Machine) -> None:
    """Circles too."""
    machine.link("/run/systemd/system/a.service", "/dev/null")
    machine.link("/run/systemd/system/b.service", "/gone")
    machine.link("/run/systemd/system/c.service", "c.service")

    assert ["/dev/null", "nothing", "nothing"] == [one.target for one in machine.seen().values()]


def test_a_link_to_a_unit_beside_it_is_another_name(machine: Machine) -> None:
    """But what weighs less there, is no unit there, or changes another unit here, is read again."""
    machine.write("/run/systemd/transient/a.service", RUN)
    machine.write("/run/systemd/system/a.service", RUN)
    machine.write("/run/systemd/system-generators/a", RUN)
    machine.link("/run/systemd/system/b.service", "a.service")
    machine.link("/run/systemd/system/c.service", "../transient/a.service")
    machine.link("/run/systemd/system/d.service", "../system-generators/a")
    machine.link("/run/systemd/system/e.service.d/x.conf", "../a.service")
    seen = machine.seen()

    assert () == seen["/run/systemd/system/b.service"].programs
    assert [EVIL] * 3 == [seen[f"/run/systemd/system/{one}"].programs for one in LINKED]


def test_what_is_no_file_is_neither_waited_for_nor_passed_over(machine: Machine) -> None:
    """A pipe without a writer, behind a link or not; and a file of a gigabyte, which takes no room."""
    os.mkfifo(machine.path("/run/systemd/system/a.service"))
    os.mkfifo(machine.path("/srv/pipe"))
    machine.link("/run/systemd/system/b.service", "/srv/pipe")
    with machine.path("/run/systemd/system/c.service").open("wb") as file:
        file.truncate(1 << 30)
    machine.link("/run/systemd/system/d.service", "/srv")

    assert {
        "/run/systemd/system/a.service": "is no regular file",
        "/run/systemd/system/b.service": "is no regular file",
        "/run/systemd/system/c.service": "has 1073741824 bytes, too many to be read",
        "/run/systemd/system/d.service": "is no regular file",
    } == {path: one.flaw for path, one in machine.seen().items() if one.flaw}


def test_commands_without_end_are_a_flaw(machine: Machine) -> None:
    """Nobody writes a thousand of them."""
    machine.write("/run/systemd/system/a.service", f"[Service]\nExecStart={'x ; ' * 5000}\n")

    assert "has 5000 commands" == machine.seen()["/run/systemd/system/a.service"].flaw


@pytest.mark.parametrize(
    ("line", "leads"),
    [
        (f"{STORED}/bin/x", f"{STORED}/bin/x"),
        (f"{STORED}//./bin/x", f"{STORED}/bin/x"),
        (f"{STORED}/../../../evil", "/evil"),
        ("/run/current-system/x", f"{STORED}/x"),
        (f"{STORED}/100%%", f"{STORED}/100%"),
        (f"{STORED}/%i", None),
        ("%t/evil", None),
        ("%%t", "%%t"),
        ("bin/evil", None),
        ("evil", "evil"),
        ("${EVIL}", "${EVIL}"),
        ("evil\nExecSearchPath=/evil", None),
        ("/loop/evil", None),
    ],
)
def test_programs_lead_where_systemd_would_find_them(machine: Machine, line: str, leads: str | None) -> None:
    """None where that cannot be told."""
    machine.link("/run/current-system", STORED)
    machine.link("/loop", "/loop")
    machine.write("/run/systemd/system/a.service", f"[Service]\nExecStart={line}\n")
    (program,) = machine.seen()["/run/systemd/system/a.service"].programs

    assert leads == program.leads


def test_paths_given_to_a_program_are_told_if_they_leave_the_store(machine: Machine) -> None:
    """Devices and the kernel's files do not count."""
    given = f"/dev/sda {STORED}/x /proc/1 a /evil /etc/x"
    machine.write("/run/systemd/system/a.service", f"[Service]\nExecStart=sh {given}\n")
    (program,) = machine.seen()["/run/systemd/system/a.service"].programs

    assert ("/evil", "/etc/x") == program.reaches


def test_only_commands_of_services_and_sockets_are_run(machine: Machine) -> None:
    """Other settings have names that begin alike."""
    text = "[Service]\nExecPaths=/\nExecReload=/b\n[Socket]\nExecStopPre=/c\n[Mount]\nExecStop=/d\n[X-A]\nExecStop=/"
    machine.write("/run/systemd/system/a.service", text)
    file = machine.seen()["/run/systemd/system/a.service"]

    assert ["/b", "/c"] == [one.word for one in file.programs]
