"""Every code of the catalogue can be provoked, and an untouched system provokes none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from ec_closure.findings import KINDS
from ec_closure.hashes import Hash
from ec_closure.policy import LEVELS
from ec_closure.signing import SecretKey
from ec_closure.store_db_audit import Audit, Flaw
from ec_verify.model import Problem, Recall, Standing
from ec_verify.observe.boot import Boot, BootEntry, BootFile
from ec_verify.observe.boot_files import Loaded
from ec_verify.observe.boot_system import BootSystem, StoredFile
from ec_verify.observe.etc import Etc, EtcEntry
from ec_verify.observe.host import Host
from ec_verify.observe.kernel import Kernel
from ec_verify.observe.kernel_modules import KernelModule
from ec_verify.observe.layers import StoreLayers
from ec_verify.observe.mounts import Mount
from ec_verify.observe.preload import Preload, Preloads
from ec_verify.observe.processes import Image, Processes
from ec_verify.observe.rules import RuleFile, Rules
from ec_verify.observe.units import UnitFile, Units
from ec_verify.observe.upper import UpperEntry, UpperLayer
from ec_verify.scan.entries import Entry
from ec_verify.scan.metadata import Anomaly

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_verify.conftest import Names, Scene

    from ec_closure.policy import Level
    from ec_verify.observe.processes import State
    from ec_verify.scan.metadata import AnomalyKind


def _anomaly(kind: AnomalyKind) -> Callable[[Scene, type[Names]], object]:
    return lambda scene, names: scene.look(names.tool, anomalies=(Anomaly(kind, "bin/tool", "something odd"),))


def _passed_on(code: str, step: str) -> Callable[[Scene, type[Names]], object]:
    """Return what gives *step* a problem, which the judge only passes on."""
    problem = Problem(code, "a problem")
    return {
        "trust": lambda scene, _names: scene.trust(problems=(problem,)),
        "observation": lambda scene, _names: scene.observe(problems=(problem,)),
        "evaluation": lambda scene, _names: scene.evaluation(problems=(problem,)),
        "rebuild": lambda scene, _names: scene.rebuild(problems=(problem,)),
        "recall": lambda scene, _names: scene.set(recall=Recall(problems=(problem,))),
        "standing": lambda scene, _names: scene.set(standing=Standing(problems=(problem,))),
    }[step]


CACHE = SecretKey("cache.invalid-1", bytes(32))


def _specialised(scene: Scene, names: type[Names]) -> None:
    """Run a specialisation of the signed system, which is its tool."""
    assert scene.case.manifest is not None
    system = msgspec.structs.replace(scene.case.manifest.system, specialisations={"debug": names.tool})
    manifest = msgspec.structs.replace(scene.case.manifest, system=system)
    scene.trust(manifest=manifest, specialisation="debug").run(current=names.tool, booted=names.tool)


def _on_host(parts: Callable[[type[Names]], dict[str, Any]]) -> Callable[[Scene, type[Names]], object]:
    """Return what changes the machine around the store."""
    return lambda scene, names: scene.observe(host=Host(**parts(names)))


def _entry(names: type[Names], **changes: Any) -> BootEntry:
    """Return a boot entry of the running system."""
    return BootEntry("/boot/loader/entries/a.conf", "a", init=f"{names.system}/init", system=names.system, **changes)


def _image(names: type[Names], state: State) -> Image:
    return Image(
        f"{names.tool}/bin/tool", state, program=True, store_path=names.tool, process=7, name="tool", root=True
    )


_ACCEPTED = {"code": "EV205", "pattern": "tool", "owner": "builds", "reason": "known", "expires": "2027-11-20"}


def part(path: str) -> str:
    """Return the hash part of a store path."""
    return path.rpartition("/")[2][:32]


PROVOKED: dict[str, Callable[[Scene, type[Names]], object]] = {
    **{code: _passed_on(code, "trust") for code in (f"EV10{digit}" for digit in range(1, 9))},
    "EV109": lambda scene, _names: scene.trust(withdrawn=(5,)),
    "EV110": lambda scene, _names: scene.trust(min_version=6),
    "EV111": lambda scene, _names: scene.trust(newer_releases=11),
    "EV112": lambda scene, _names: scene.trust(metadata_age=15 * 86400),
    "EV113": _passed_on("EV113", "trust"),
    "EV114": _passed_on("EV114", "trust"),
    "EV115": _passed_on("EV115", "trust"),
    "EV116": lambda scene, _names: scene.policy(systems=("another",)),
    "EV117": _specialised,
    "EV118": _passed_on("EV118", "trust"),
    "EV119": _passed_on("EV119", "standing"),
    "EV201": lambda scene, names: scene.look(names.tool, nar_hash=names.sri("evil")),
    "EV202": lambda scene, names: scene.look(names.tool, nar_hash=None, problem="missing"),
    "EV203": _anomaly("mode"),
    "EV204": _anomaly("owner"),
    "EV205": _anomaly("mtime"),
    "EV206": _anomaly("setid"),
    "EV207": _anomaly("xattr"),
    "EV208": lambda scene, names: scene.add(path=names.store_path("evil")),
    "EV209": lambda scene, _names: scene.observe(entries=(Entry("evil", "extra"),)),
    "EV210": lambda scene, names: scene.look(names.text, deserved=names.store_path("another")),
    "EV211": lambda scene, names: scene.add(path=names.store_path("new"), nar_hash=names.sri("evil")),
    "EV212": lambda scene, names: scene.row(names.tool, nar_size=1),
    "EV213": lambda scene, names: scene.look(names.tool, nar_hash=None, problem="unreadable"),
    "EV214": lambda scene, _names: scene.observe(entries=(Entry("trash", "in flight"),)),
    "EV215": lambda scene, _names: scene.observe(
        database=Audit((Flaw("program", "the trigger evil is none of Nix's"),))
    ),
    "EV216": lambda scene, names: (
        scene.policy(cache_keys=[CACHE.public.render()]),
        scene.row(names.editor, signatures=(CACHE.sign(b"something else"),)),
    ),
    "EV217": lambda scene, names: scene.row(names.text, ultimate=True),
    "EV218": lambda scene, names: scene.look(names.tool, occurring=frozenset()),
    "EV219": lambda scene, names: scene.look(names.library, occurring=frozenset({part(names.library)})),
    "EV301": lambda scene, _names: scene.run(current=None),
    "EV302": lambda scene, names: scene.run(profile=names.tool),
    "EV303": lambda scene, names: scene.observe(mounts=(Mount(names.tool, "tmpfs", "tmpfs", "/", "rw"),)),
    "EV304": lambda scene, names: (
        scene.trust(others=(names.manifest_of([names.record(names.tool)], system=names.tool, version=4),)),
        scene.run(booted=names.tool),
    ),
    "EV305": lambda scene, names: scene.run(command_line_init=names.tool),
    "EV306": lambda scene, names: scene.run(booted=names.tool),
    "EV317": lambda scene, _names: scene.observe(
        layers=StoreLayers((Mount("/nix/store", "tmpfs", "tmpfs", "/", "rw"),))
    ),
    "EV318": lambda scene, names: scene.observe(
        layers=StoreLayers(upper=(UpperEntry(names.tool, "other", "whiteout"),))
    ),
    "EV319": lambda scene, _names: scene.observe(written=UpperLayer((UpperEntry("/opt/tool", "file"),))),
    "EV320": _on_host(
        lambda _names: {"rules": Rules((RuleFile("/run/udev/rules.d/a.rules", "udev", ('RUN+="/x"',)),))}
    ),
    "EV401": _passed_on("EV401", "evaluation"),
    "EV402": _passed_on("EV402", "evaluation"),
    "EV403": lambda scene, names: scene.evaluation(drv_path=f"{names.tool}.drv"),
    "EV404": lambda scene, names: scene.evaluation(out_path=names.tool),
    "EV405": _passed_on("EV405", "evaluation"),
    "EV406": _passed_on("EV406", "evaluation"),
    "EV407": _passed_on("EV407", "evaluation"),
    "EV408": _passed_on("EV408", "evaluation"),
    "EV409": _passed_on("EV409", "evaluation"),
    "EV501": lambda scene, names: scene.evidence(names.tool, rebuilt=names.sri("other")),
    "EV502": lambda scene, names: scene.evidence(names.tool, rebuilt=None, failure="its builder failed"),
    "EV307": _on_host(
        lambda names: {
            "boot": Boot(
                entries=(_entry(names, kernel=Loaded("/boot/kernel", 1, "other")),),
                systems={names.system: BootSystem(names.system, present=True, kernel=StoredFile("kernel", 1, "own"))},
            )
        }
    ),
    "EV308": _on_host(
        lambda names: {
            "boot": Boot(
                entries=(_entry(names, words=(f"init={names.system}/init", "quiet"), kernel=Loaded("/boot/kernel")),),
                systems={names.system: BootSystem(names.system, present=True, parameters=("loud",))},
            )
        }
    ),
    "EV309": _on_host(lambda _names: {"boot": Boot(others=(BootFile("/boot/EFI/x.efi", 1, "x", executable=True),))}),
    "EV310": _on_host(
        lambda names: {"kernel": Kernel(names.system, "6.12", (f"init={names.system}/init", "rd.break"), ())}
    ),
    "EV311": _on_host(lambda _names: {"etc": Etc((EtcEntry("sudoers", "altered", "other bytes"),))}),
    "EV312": _on_host(lambda _names: {"etc": Etc((EtcEntry("evil", "stray", "a file"),))}),
    "EV313": _on_host(
        lambda _names: {"units": Units((UnitFile("/run/systemd/system/a.service", "runtime", (("ExecStart", "x"),)),))}
    ),
    "EV314": _on_host(lambda _names: {"preloads": Preloads((Preload("/etc/ld.so.preload", ("/x",), own=False),))}),
    "EV315": _on_host(lambda names: {"processes": Processes((_image(names, "differs"),))}),
    "EV316": _on_host(
        lambda names: {"kernel": Kernel(names.system, "6.12", releases=("6.12",), modules=(KernelModule("evil"),))}
    ),
    "EV503": lambda scene, _names: scene.rebuild(strays=("stray",)),
    "EV504": lambda scene, names: (
        scene.policy(
            unreproducible=({"pattern": "tool", "owner": "builds", "reason": "draws numbers", "expires": "2026-11-19"},)
        ),
        scene.evidence(names.tool, rebuilt=names.sri("other")),
    ),
    "EV505": _passed_on("EV505", "observation"),
    "EV506": _passed_on("EV506", "rebuild"),
    "EV507": lambda scene, _names: scene.rebuild(late=3, spent="the time was spent"),
    "EV901": lambda scene, _names: scene.set(self_test="a flipped byte was not seen"),
    "EV902": _passed_on("EV902", "recall"),
    "EV903": _passed_on("EV903", "recall"),
    "EV904": _passed_on("EV904", "recall"),
    "EV910": lambda scene, _names: scene.policy(accept=(_ACCEPTED | {"expires": "2026-11-19"},)),
    "EV911": lambda scene, _names: scene.policy(accept=(_ACCEPTED | {"expires": "2026-11-20"},)),
    "EV912": lambda scene, _names: scene.policy(accept=(_ACCEPTED,)),
}


@pytest.mark.parametrize("level", LEVELS)
def test_an_untouched_system_passes_without_a_finding(scenes: Callable[[Level], Scene], level: Level) -> None:
    """What is as it should be is said to be so, at every level: no wolf is cried."""
    judged = scenes(level).judge()

    assert ("passed", level, (), 0) == (judged.verdict, judged.level_reached, judged.findings, judged.exit_code)


@pytest.mark.parametrize("code", PROVOKED)
def test_each_code_is_found_where_its_damage_is_done(
    scenes: Callable[[Level], Scene], names: type[Names], code: str
) -> None:
    """Damage of each kind is found by its own code, with the catalogue's severity and hint."""
    scene = scenes("full")
    PROVOKED[code](scene, names)

    found = [finding for finding in scene.judge().findings if finding.code == code]

    assert found
    assert {(KINDS[code].severity, KINDS[code].hint)} == {(one.severity, one.hint) for one in found}


@pytest.mark.parametrize("code", PROVOKED)
def test_a_failing_code_fails_the_run_and_no_other_does(
    scenes: Callable[[Level], Scene], names: type[Names], code: str
) -> None:
    """The verdict is `failed` exactly when a finding weighs `fail`."""
    scene = scenes("full")
    PROVOKED[code](scene, names)

    judged = scene.judge()

    assert (judged.verdict == "failed") == any(finding.severity == "fail" for finding in judged.findings)


def test_every_code_of_the_catalogue_has_its_case_here() -> None:
    """A code that nobody can provoke is no finding: the table above names each."""
    assert set(KINDS) == set(PROVOKED)


def test_findings_come_in_the_order_of_their_weight(scene: Scene, names: type[Names]) -> None:
    """What fails stands first, so that a report that is cut keeps it."""
    scene.observe(entries=(Entry("trash", "in flight"), Entry("evil", "extra")))
    scene.look(names.tool, anomalies=(Anomaly("mtime", "", "time stamp 7"),))

    assert ["fail", "warn", "info"] == [finding.severity for finding in scene.judge().findings]


def test_the_row_of_a_path_is_compared_in_every_part(scene: Scene, names: type[Names]) -> None:
    """Hash, size, lost and added references are each a disagreement with the manifest."""
    untouched = scene.case
    references = untouched.observation.rows[names.system].references
    for changes, said in (
        ({"nar_hash": Hash.parse(names.sri("evil"))}, "another hash or size"),
        ({"nar_size": 121}, "another hash or size"),
        ({"references": references[1:]}, f"lost a reference of {names.system.rpartition('/')[2]} to {references[0]}"),
        ({"references": (*references, names.library)}, f"a reference to {names.library}"),
    ):
        scene.case = untouched
        scene.row(names.system, **changes)
        assert said in scene.message("EV212")


def test_a_row_that_is_gone_is_said_to_be_gone(scene: Scene, names: type[Names]) -> None:
    """A signed path that lies on the disk without a row would be collected as garbage."""
    scene.drop(names.tool, look=False)

    assert "is not registered" in scene.message("EV212")


def test_names_from_the_disk_cannot_drive_a_terminal(scene: Scene, names: type[Names]) -> None:
    """Escape sequences, line breaks, direction marks and bytes that are no UTF-8 are spelled out."""
    hostile = "evil\x1b[2K\n\u202e\udcff"
    scene.observe(
        entries=(Entry(hostile, "extra"),), mounts=(Mount(f"{names.tool}/{hostile}", "tmpfs", hostile, "/", "rw"),)
    )

    judged = scene.judge()

    assert r"/nix/store/evil\x1b[2K\x0a\u202e\xff" == judged.extra.paths[0]
    texts = [text for one in judged.findings for text in (one.message, one.path or "", one.hint)]
    assert all(text.isprintable() for text in texts)


def test_a_name_longer_than_a_report_may_hold_is_cut(scene: Scene) -> None:
    """A report with a path longer than its format allows could not be read by anyone."""
    scene.observe(entries=(Entry("\udcff" * 255, "extra"),))

    judged = scene.judge()

    assert [1024, 1024] == [len(judged.findings[0].path or ""), len(judged.extra.paths[0])]


def test_anomalies_of_one_kind_and_path_are_one_finding(scene: Scene, names: type[Names]) -> None:
    """A tree whose every file was touched is one finding that says how many there are."""
    scene.look(names.tool, anomalies=tuple(Anomaly("mtime", f"file-{number}", "time stamp 7") for number in range(3)))

    assert f"{names.tool.rpartition('/')[2]}/file-0: time stamp 7 (and 2 more)" == scene.message("EV205")


def test_problems_keep_their_path(scene: Scene, names: type[Names]) -> None:
    """What a step could not do is told with the path that it concerns."""
    scene.observe(problems=(replace(names.problem("EV505"), path=names.tool),))

    assert [names.tool] == [finding.path for finding in scene.judge().findings]
