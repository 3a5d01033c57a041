"""Findings about units and drop-ins from outside the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_closure.policy import matches
from ec_verify.judge.gravest import gravest
from ec_verify.judge.unit_settings import CHANGING, changes_view, is_resource, loads_code, mount_point
from ec_verify.location import base_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_closure.report import Finding
    from ec_verify.judge.case import Case
    from ec_verify.observe.units import Program, UnitFile

_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "env", "busybox", "perl", "python", "python3"})
# Programs that execute another one, which they are given.
_LAUNCHERS = _SHELLS | frozenset(
    {
        *(
            "nice",
            "ionice",
            "chrt",
            "nohup",
            "setsid",
            "setpriv",
            "stdbuf",
            "timeout",
            "time",
            "xargs",
            "flock",
            "sudo",
        ),
        *(
            "chroot",
            "unshare",
            "nsenter",
            "systemd-run",
            "systemd-nspawn",
            "bwrap",
            "runuser",
            "su",
            "ruby",
            "node",
            "lua",
        ),
    }
)
_LINKERS = ("ld-linux", "ld-musl")
# A shell of root's on a console, before anybody has to log in.
_OPEN_SHELLS = ("debug-shell.service",)
_DEFAULT = "default.target"


def judge_units(case: Case) -> Iterable[Finding]:
    """Judge what systemd would load that is not the store's."""
    host = case.observation.host
    if host is None:
        return
    allowed = case.policy.allowed_units
    judged = (file for file in host.units.files if not matches(file.path, allowed))
    yield from gravest(
        finding for file in judged if not matches(base_name(file.path), allowed) for finding in _unit(case, file)
    )


def _unit(case: Case, file: UnitFile) -> Iterable[Finding]:
    where = file.path
    if file.target == "/dev/null" and not file.wish:
        if file.place != "generator" or not _asked(case, file):
            yield case.weaker("EV313", "warn", f"{where} masks a unit", where)
    elif file.wish:
        yield from _wish(case, file)
    elif file.target == "nothing":
        return
    elif file.place == "program":
        yield case.finding("EV313", f"{where} is run by systemd, and is not the store's", where)
    elif file.flaw:
        yield case.finding("EV313", f"{where} {file.flaw}", where)
    elif file.target is not None and not file.settings:
        yield from _alias(case, file, file.target)
    else:
        yield from _read(case, file)


def _asked(case: Case, file: UnitFile) -> bool:
    """Tell whether a unit may have been masked for the kernel's command line, which has findings of its own."""
    kernel = case.observation.host.kernel if case.observation.host is not None else None
    return kernel is None or f"systemd.mask={file.unit}" in kernel.words


def _wish(case: Case, file: UnitFile) -> Iterable[Finding]:
    """Judge a link that only names what is started. Generators make them all day long."""
    if file.unit in _OPEN_SHELLS:
        yield case.finding("EV313", f"{file.path} opens a shell for everybody", file.path)
    elif file.place not in ("generator", "transient"):
        yield case.weaker("EV313", "warn", f"{file.path} lets {file.unit} be started", file.path)


def _alias(case: Case, file: UnitFile, target: str) -> Iterable[Finding]:
    """Judge another name for a unit that is hashed with the store, or judged where it lies."""
    if base_name(target) in _OPEN_SHELLS:
        yield case.finding("EV313", f"{file.path} opens a shell for everybody", file.path)
    elif file.place != "generator" or not _same_unit(file.unit, base_name(target)):
        yield case.weaker("EV313", "warn", f"{file.path} is another name for {target}", file.path)


def _same_unit(name: str, target: str) -> bool:
    """Tell whether *name* may stand for *target* by systemd's rules: itself, an instance, what is booted into."""
    stem, _, kind = name.rpartition(".")
    return target in (name, f"{stem.partition('@')[0]}@.{kind}") or name == _DEFAULT


def _read(case: Case, file: UnitFile) -> Iterable[Finding]:
    foreign = [program.word for program in file.programs if _foreign(case, program)]
    covered = _covered(case, file)
    if covered is not None:
        message = f"{file.path} mounts something over {covered}"
        yield case.finding("EV313", message, file.path)
    elif file.place == "generator":
        yield from _generated(case, file, foreign)
    elif file.place == "transient" and not file.shadows:
        if foreign:
            yield case.weaker("EV313", "warn", f"{file.path} runs {foreign[0]}, which is not the store's", file.path)
    else:
        yield from _placed(case, file, foreign)


def _covered(case: Case, file: UnitFile) -> str | None:
    """Return which path of the store a unit or drop-in mounts something over; None where none.

    The whole store is mounted by the system's own fstab, on some machines.
    """
    point = mount_point(file.unit)
    if point is None or not any(key == "What" or (file.drop_in and key == "Options") for key, _ in file.settings):
        return None
    if point.startswith(f"{case.store_dir}/"):
        return point
    whole = f"{case.store_dir}/".startswith(f"{point.rstrip('/')}/")
    return point if whole and (file.drop_in or file.place != "generator") else None


def _generated(case: Case, file: UnitFile, foreign: list[str]) -> Iterable[Finding]:
    """Judge what generators wrote: programs of the store, and no commands of a shell."""
    if foreign:
        yield case.finding("EV313", f"{file.path} runs {foreign[0]}, which is not the store's", file.path)
        return
    launched = [one for one in file.programs if one.reaches and _launcher(one)]
    if launched:
        what = f"{launched[0].word} {launched[0].reaches[0]}"
        yield case.finding("EV313", f"{file.path} runs {what}, which is not the store's", file.path)
        return
    changing = [
        f"{key}={value}"
        for key, value in file.settings
        if loads_code(key, value, case.store_dir) or changes_view(key, value, case.store_dir) or _opens(value)
    ]
    if changing:
        yield case.finding("EV313", f"{file.path} says {changing[0]}", file.path)
        return
    shells = [one for one in file.programs if one.shell or (base_name(one.word) in _SHELLS and not _script(one))]
    if shells:
        said = " ".join((shells[0].word, *shells[0].arguments))
        yield case.weaker("EV313", "warn", f"{file.path} runs a shell: {said}", file.path)


def _placed(case: Case, file: UnitFile, foreign: list[str]) -> Iterable[Finding]:
    """Judge what an administrator, a program or an attacker put where systemd looks."""
    does = [
        f"{key}={value}" for key, value in file.settings if key.startswith("Exec") or key in CHANGING or _opens(value)
    ]
    kind = "drop-in" if file.drop_in else "unit"
    if does:
        what = f"runs {foreign[0]}" if foreign else f"says {does[0]}"
        yield case.finding("EV313", f"the {kind} {file.path} comes from outside the store and {what}", file.path)
        return
    others = [f"{key}={value}" for key, value in file.settings if not is_resource(key)]
    # `systemctl set-property` and session managers set limits, and nothing else.
    if others or not (file.place == "control" or file.unit.endswith((".scope", ".slice"))):
        message = f"the {kind} {file.path} comes from outside the store"
        yield case.weaker("EV313", "warn", message, file.path)


def _opens(value: str) -> bool:
    """Tell whether a list of units names one that opens a shell."""
    return any(word in _OPEN_SHELLS for word in value.split())


def _script(program: Program) -> bool:
    """Tell whether a shell is given a script, and neither commands nor somebody who types them."""
    options = [one for one in program.arguments if one.startswith("-") and not one.startswith("--")]
    return len(options) < len(program.arguments) and not any(set(one) & set("cis") for one in options)


def _launcher(program: Program) -> bool:
    name = base_name(program.word)
    return program.shell or name in _LAUNCHERS or name.startswith(_LINKERS)


def _foreign(case: Case, program: Program) -> bool:
    """Tell whether a program is not the store's. One without a slash is looked up in systemd's own path."""
    if program.leads is None:
        return True
    return "/" in program.leads and not program.leads.startswith(f"{case.store_dir}/")
