"""How much what was seen around the store weighs: attacks fail, administration warns, the rest is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ec_closure.report import MAX_LISTED
from ec_verify.observe.boot import Boot, BootEntry, BootFile
from ec_verify.observe.boot_files import Loaded
from ec_verify.observe.boot_system import BootSystem, StoredFile
from ec_verify.observe.etc import Etc, EtcEntry
from ec_verify.observe.host import Host
from ec_verify.observe.kernel import Helper, Kernel
from ec_verify.observe.processes import Image, Processes
from ec_verify.observe.units import Program, UnitFile, Units

if TYPE_CHECKING:
    from tests.ec_verify.conftest import Names, Scene

    from ec_verify.observe.processes import State
    from ec_verify.observe.units import Place


def weights(scene: Scene, **parts: Any) -> list[tuple[str, str]]:
    """Return codes and severities of a machine with *parts*."""
    return [(one.code, one.severity) for one in scene.observe(host=Host(**parts)).judge().findings]


def booting(names: type[Names], *, present: bool = True, secrets: bool = False, **changes: Any) -> Boot:
    """Return a boot menu with one entry, of the running system unless *changes* say otherwise."""
    system = changes.get("system", names.system)
    given: dict[str, Any] = {
        "kernel": Loaded("/boot/k", 1, "kernel"),
        "initrds": (Loaded("/boot/i", 1, "initrd"),),
        "words": (f"init={system}/init", "quiet"),
        "init": f"{system}/init",
        "system": system,
    }
    stored = BootSystem(
        system,
        present=present,
        parameters=("quiet",) if present else None,
        kernel=StoredFile("/k", 1, "kernel") if present else None,
        initrd=StoredFile("/i", 1, "initrd") if present else None,
        secrets=secrets,
    )
    return Boot((BootEntry("/boot/a.conf", "a", **(given | changes)),), {system: stored})


def test_an_untouched_menu_says_nothing(scene: Scene, names: type[Names]) -> None:
    """Nor do the words that a boot loader adds itself."""
    assert [] == weights(scene, boot=booting(names, words=(f"init={names.system}/init", "initrd=\\i.efi", "quiet")))


def test_secrets_behind_an_initial_ram_disk_are_told_and_no_more(scene: Scene, names: type[Names]) -> None:
    """Only where the system appends them, and only behind its own bytes."""
    appended = (Loaded("/boot/i", 2, "more", beginnings=((1, "initrd"),)),)

    assert [("EV307", "info")] == weights(scene, boot=booting(names, initrds=appended, secrets=True))
    assert [("EV307", "fail")] == weights(scene, boot=booting(names, initrds=appended))
    assert [("EV307", "fail")] == weights(
        scene, boot=booting(names, initrds=(Loaded("/boot/i", 2, "more"),), secrets=True)
    )


@pytest.mark.parametrize(
    ("present", "is_next", "severity"), [(False, False, "info"), (True, False, "warn"), (False, True, "fail")]
)
def test_an_entry_of_an_unknown_system_weighs_by_what_it_can_do(
    scene: Scene,
    names: type[Names],
    present: bool,  # noqa: FBT001 - a table
    is_next: bool,  # noqa: FBT001 - a table
    severity: str,
) -> None:
    """Entries of collected generations stay in menus; what is started next must be known."""
    stranger = names.store_path("stranger")
    menu = booting(names, system=stranger, present=present, next=is_next)

    assert [("EV308", severity)] == weights(scene, boot=menu)


def test_one_more_initial_ram_disk_fails(scene: Scene, names: type[Names]) -> None:
    """The kernel unpacks it over the first one."""
    more = (Loaded("/boot/i", 1, "initrd"), Loaded("/boot/evil", 1, "evil"))

    assert [("EV307", "fail")] == weights(scene, boot=booting(names, initrds=more))


def test_an_entry_that_starts_a_program_starts_no_system(scene: Scene, names: type[Names]) -> None:
    """Whatever kernel and init it names besides."""
    assert [("EV308", "fail")] == weights(scene, boot=booting(names, program="/evil.efi", next=True))
    assert [("EV308", "info")] == weights(scene, boot=booting(names, program="/evil.efi"))


def test_a_program_that_a_known_system_holds_is_no_stranger(scene: Scene) -> None:
    """Whatever name it has."""
    program = BootFile("/boot/EFI/BOOT/BOOTX64.EFI", 1, "loader", executable=True)

    assert [] == weights(scene, boot=Boot(others=(program,), loaders=frozenset({"loader"})))
    assert [("EV309", "warn")] == weights(scene, boot=Boot(others=(program,)))
    scene.policy(allowed_boot=("/boot/EFI/*",))
    assert [] == weights(scene, boot=Boot(others=(program,)))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("quiet", "BOOT_IMAGE=/k", "initrd=i"), []),
        (("quiet", "console=ttyS0"), [("EV310", "warn")]),
        (("quiet", "systemd.debug_shell"), [("EV310", "fail")]),
        ((), [("EV310", "warn")]),
    ],
)
def test_words_of_the_command_line_weigh_by_what_they_do(
    scene: Scene, names: type[Names], words: tuple[str, ...], found: list[tuple[str, str]]
) -> None:
    """A shell for everybody is no console."""
    kernel = Kernel(names.system, "6.12", (f"init={names.system}/init", *words), ("quiet",))

    assert found == weights(scene, kernel=kernel)


@pytest.mark.parametrize(
    ("taint", "found"), [(0, []), (1 << 9 | 1 << 12, [("EV316", "info")]), (2, [("EV316", "fail")])]
)
def test_taint_weighs_when_it_was_forced(
    scene: Scene, names: type[Names], taint: int, found: list[tuple[str, str]]
) -> None:
    """Kernels warn and load modules of others on every second machine."""
    assert found == weights(scene, kernel=Kernel(names.system, "6.12", taint=taint))


def test_helpers_that_do_not_exist_start_nothing(scene: Scene, names: type[Names]) -> None:
    """/sbin/modprobe is the kernel's default, and no file of NixOS."""
    gone = Helper("modprobe", "/sbin/modprobe", "/sbin/modprobe", exists=False, store_path=None)
    there = Helper("core_pattern", "/opt/x", "/opt/x", exists=True, store_path=None)

    assert [("EV316", "fail")] == weights(scene, kernel=Kernel(names.system, "6.12", helpers=(gone, there)))


@pytest.mark.parametrize(
    ("state", "root", "found"),
    [
        ("same", True, []),
        ("outside", True, [("EV315", "fail")]),
        ("outside", False, [("EV315", "warn")]),
        ("memory", True, [("EV315", "fail")]),
        ("differs", False, [("EV315", "fail")]),
    ],
)
def test_users_may_run_what_they_made_and_root_may_not(
    scene: Scene,
    names: type[Names],
    state: State,
    root: bool,  # noqa: FBT001 - a table
    found: list[tuple[str, str]],
) -> None:
    """What differs from the store is damage, whoever runs it."""
    path = "/srv/x" if state == "outside" else names.tool
    store_path = None if state in ("outside", "memory") else names.tool
    image = Image(path, state, program=True, store_path=store_path, process=7, name="x", root=root)

    assert found == weights(scene, processes=Processes((image,)))


def test_what_an_unregistered_path_runs_fails(scene: Scene, names: type[Names]) -> None:
    """A file that is the same as itself proves nothing."""
    path = names.store_path("evil")
    image = Image(path, "same", program=True, store_path=path, process=7, name="x")

    assert [("EV315", "fail")] == weights(scene, processes=Processes((image,)))


@pytest.mark.parametrize(
    ("name", "departure", "writable", "found"),
    [
        ("passwd", "stray", False, []),
        ("ssh/ssh_host_rsa_key", "stray", False, []),
        ("profile.local", "stray", False, [("EV312", "warn")]),
        ("fstab", "shadowed", False, [("EV311", "fail")]),
        ("sudoers", "altered", False, [("EV311", "fail")]),
        ("some.conf", "altered", True, [("EV311", "warn")]),
        ("fstab", "missing", False, [("EV311", "warn")]),
    ],
)
def test_departures_of_etc_weigh_by_who_may_make_them(
    scene: Scene,
    name: str,
    departure: Any,
    writable: bool,  # noqa: FBT001 - a table
    found: list[tuple[str, str]],
) -> None:
    """What changes by itself is not judged."""
    assert found == weights(scene, etc=Etc((EtcEntry(name, departure, "so", writable),)))


@pytest.mark.parametrize(
    ("path", "place", "settings", "found"),
    [
        ("generator/a.mount", "generator", (("What", "/dev/x"),), []),
        ("generator/a.service", "generator", (("ExecStart", "/opt/x"),), [("EV313", "fail")]),
        ("transient/run-1.service", "transient", (("ExecStart", "/opt/x"),), [("EV313", "warn")]),
        ("system.control/a.service.d/x.conf", "control", (("CPUWeight", "5"),), []),
        ("system.control/a.service.d/x.conf", "control", (("Environment", "A=b"),), [("EV313", "fail")]),
        ("system/a.service.d/x.conf", "runtime", (("MemoryMax", "1G"),), [("EV313", "warn")]),
        ("system/a.service.d/x.conf", "runtime", (("ExecStart", "/opt/x"),), [("EV313", "fail")]),
        ("system/user-1.slice.d/x.conf", "runtime", (("MemoryMax", "1G"),), []),
    ],
)
def test_units_weigh_by_where_they_lie_and_what_they_say(
    scene: Scene, path: str, place: Place, settings: tuple[tuple[str, str], ...], found: list[tuple[str, str]]
) -> None:
    """Generators and sessions write units all day long; nobody else does."""
    programs = tuple(Program(value, value) for key, value in settings if key == "ExecStart")

    assert found == weights(scene, units=Units((UnitFile(f"/run/systemd/{path}", place, settings, programs),)))


def test_a_thousand_small_things_hide_no_great_one(scene: Scene) -> None:
    """What users run and leave is told after what root runs and what the system's /etc lost."""
    images = [
        Image(f"/srv/{number}", "outside", program=True, store_path=None, process=7, name="x")
        for number in range(MAX_LISTED)
    ]
    entries = [EtcEntry(f"a{number}", "stray", "a file") for number in range(MAX_LISTED)]
    root = Image("/srv/evil", "outside", program=True, store_path=None, process=8, name="x", root=True)
    found = scene.observe(
        host=Host(processes=Processes((*images, root)), etc=Etc((*entries, EtcEntry("fstab", "shadowed", "a file"))))
    ).judge()

    assert {("EV311", "/etc/fstab"), ("EV315", "/srv/evil")} == {
        (one.code, one.path) for one in found.findings if one.severity == "fail"
    }
    assert ["1 more entries of /etc depart from the system's"] == [
        one.message for one in found.findings if one.code == "EV312" and one.path is None
    ]


def test_policy_weighs_what_it_names(scene: Scene) -> None:
    """An operator who says `fail` means also what would be a warning."""
    etc = Etc((EtcEntry("fstab", "missing", "gone"),))
    scene.policy(severity={"EV311": "fail"})

    assert [("EV311", "fail")] == weights(scene, etc=etc)


def test_what_cannot_be_read_keeps_the_level_from_being_reached(scene: Scene) -> None:
    """And coverage says where; what the machine does not have is no hole."""
    assert "bytes" == scene.observe(host=Host()).judge().level_reached
    judged = scene.observe(host=Host(etc=Etc(gaps=("/etc/x: denied",)))).judge()

    assert ("undecided", None) == (judged.verdict, judged.level_reached)
    (running,) = (one for one in judged.coverage if one.step == "running state")
    assert "/etc: /etc/x: denied" in running.reasons


def test_coverage_counts_every_part_of_the_machine_once(scene: Scene) -> None:
    """What was seen is never more than what there is to see."""
    judged = scene.observe(host=Host()).judge()
    (running,) = (one for one in judged.coverage if one.step == "running state")

    assert running.done == running.total
