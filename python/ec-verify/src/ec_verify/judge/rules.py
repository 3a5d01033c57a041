"""Findings about rules from outside the store by which a machine runs programs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ec_closure.policy import matches
from ec_verify.judge.gravest import gravest
from ec_verify.location import base_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_closure.report import Finding
    from ec_verify.judge.case import Case
    from ec_verify.observe.rules import Kind, RuleFile

# What makes a line run a program, by whose rule it is. See udev(7), modprobe.d(5), binfmt.d(5), sysctl.d(5), polkit(8).
_RUNS: dict[Kind, re.Pattern[str]] = {
    "udev": re.compile(r".*(\b(RUN|PROGRAM)\b|\bIMPORT\s*\{\s*program|SYSTEMD_(USER_)?WANTS|REMOVE_CMD)"),
    "modprobe": re.compile(r"(install|remove)\s"),
    "binfmt": re.compile(r"[^;]"),
    "sysctl": re.compile(r"[^;=][^=]*=\s*[|/]"),
    "polkit": re.compile(r"."),
    "dbus": re.compile(r"Exec\s*="),
}
# What every boot leaves: kmod's nodes of devices whose modules are loaded when they are opened; and a name for the root
# file system's device, by the first stage of NixOS.
_QUIET: dict[Kind, re.Pattern[str]] = {
    "tmpfiles": re.compile(r"""["']?[cbd][-+!=~^$?]*["']?\s+["']?/dev/(?!.*\.\.)\S+.*"""),
    "udev": re.compile(
        r'ACTION=="add\|change", SUBSYSTEM=="block", ENV\{MAJOR\}=="\d+", ENV\{MINOR\}=="\d+", SYMLINK\+="root"'
    ),
}


def judge_rules(case: Case) -> Iterable[Finding]:
    """Judge what udev, kmod, systemd's helpers, polkit and D-Bus would act upon that is not the store's."""
    host = case.observation.host
    if host is None:
        return
    allowed = case.policy.allowed_units
    judged = (file for file in host.rules.files if not matches(file.path, allowed))
    yield from gravest(
        finding for file in judged if not matches(base_name(file.path), allowed) for finding in _rules(case, file)
    )


def _rules(case: Case, file: RuleFile) -> Iterable[Finding]:
    pattern = _RUNS.get(file.kind)
    running = next((line for line in file.lines if pattern is not None and pattern.match(line)), None)
    if running is not None:
        yield case.finding("EV320", f"{file.path} comes from outside the store and says {running}", file.path)
    elif file.flaw:
        yield case.finding("EV320", f"{file.path} {file.flaw}", file.path)
    elif file.target == "/dev/null":
        yield case.weaker("EV320", "warn", f"{file.path} masks a file of rules", file.path)
    elif file.target is not None:
        yield case.weaker("EV320", "warn", f"{file.path} is somebody's link to {file.target}", file.path)
    elif file.kind == "extension":
        yield case.weaker("EV320", "warn", f"{file.path} may be laid over /usr or /etc", file.path)
    elif not (file.kind in _QUIET and all(_QUIET[file.kind].fullmatch(line) for line in file.lines)):
        yield case.weaker("EV320", "warn", f"{file.path} comes from outside the store", file.path)
