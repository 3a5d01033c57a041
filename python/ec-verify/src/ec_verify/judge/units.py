"""Findings about units and drop-ins from outside the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_closure.policy import matches
from ec_closure.report import MAX_LISTED
from ec_verify.location import base_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_closure.report import Finding
    from ec_verify.judge.case import Case
    from ec_verify.observe.units import UnitFile

# Settings that change what runs, or what it sees. See systemd.exec(5), systemd.service(5) and systemd-system.conf(5).
_DANGEROUS = frozenset(
    {
        *("Environment", "EnvironmentFile", "PassEnvironment", "DefaultEnvironment", "ManagerEnvironment"),
        *("BindPaths", "BindReadOnlyPaths", "MountImages", "ExtensionImages", "ExtensionDirectories"),
        *("RootDirectory", "RootImage", "TemporaryFileSystem", "User", "OnFailure", "OnSuccess", "BusName"),
    }
)
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "env", "busybox", "perl", "python", "python3"})


def judge_units(case: Case) -> Iterable[Finding]:
    """Judge what systemd would load that is not the store's."""
    host = case.observation.host
    if host is None:
        return
    listed = 0
    for file in host.units.files:
        if matches(file.path, case.policy.allowed_units) or matches(base_name(file.path), case.policy.allowed_units):
            continue
        for finding in _unit(case, file):
            listed += 1
            if listed <= MAX_LISTED:
                yield finding


def _unit(case: Case, file: UnitFile) -> Iterable[Finding]:
    where = file.path
    if file.place == "program":
        yield case.finding("EV313", f"{where} is run by systemd, and is not the store's", where)
        return
    if file.target is not None and not file.settings:
        # A link: a mask, or one that leads to nothing that could be read as a unit.
        if file.target == "/dev/null" and file.place != "generator":
            yield case.weaker("EV313", "warn", f"{where} masks a unit", where)
        return
    foreign = [program for program, leads in file.programs if _foreign(case, program, leads)]
    if file.place == "generator":
        yield from _generated(case, file, foreign)
    elif file.place == "transient":
        if foreign:
            yield case.weaker("EV313", "warn", f"{where} runs {foreign[0]}, which is not the store's", where)
    else:
        yield from _placed(case, file, foreign)


def _generated(case: Case, file: UnitFile, foreign: list[str]) -> Iterable[Finding]:
    """Judge what generators wrote: programs of the store, and no commands of a shell."""
    if foreign:
        yield case.finding("EV313", f"{file.path} runs {foreign[0]}, which is not the store's", file.path)
        return
    commands = [value for key, value in file.settings if key.startswith("Exec")]
    shells = [
        command
        for command, (program, _) in zip(commands, file.programs, strict=False)
        if base_name(program) in _SHELLS and " -" in command and "c" in command.partition(" -")[2].split(" ", 1)[0]
    ]
    if shells:
        yield case.weaker("EV313", "warn", f"{file.path} runs commands of a shell: {shells[0]}", file.path)


def _placed(case: Case, file: UnitFile, foreign: list[str]) -> Iterable[Finding]:
    """Judge what an administrator, a program or an attacker put where systemd looks."""
    does = [f"{key}={value}" for key, value in file.settings if key.startswith("Exec") or key in _DANGEROUS]
    kind = "drop-in" if file.drop_in else "unit"
    if does:
        what = f"runs {foreign[0]}" if foreign else f"says {does[0]}"
        yield case.finding("EV313", f"the {kind} {file.path} comes from outside the store and {what}", file.path)
    elif file.place != "control" and not _resources(file):
        message = f"the {kind} {file.path} comes from outside the store"
        yield case.weaker("EV313", "warn", message, file.path)


def _resources(file: UnitFile) -> bool:
    """Tell whether it only sets limits of a scope or slice, as session managers do."""
    unit = base_name(file.path.rpartition("/")[0] if file.drop_in else file.path).removesuffix(".d")
    return unit.endswith((".scope", ".slice"))


def _foreign(case: Case, program: str, leads: str | None) -> bool:
    """Tell whether a program is not the store's. One without a slash is looked up in systemd's own path."""
    if not program.startswith("/"):
        return False
    return leads is None or not leads.startswith(f"{case.store_dir}/")
