"""The running kernel: its command line, release, modules and taint, and the programs that it starts by itself."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_verify.observe import kernel_modules
from ec_verify.observe.places import read, said, text
from ec_verify.observe.running import containing, follow

if TYPE_CHECKING:
    from ec_verify.observe.kernel_modules import KernelModule
    from ec_verify.observe.places import HostPlaces

_MAX_WORD = 64 << 10
_BINFMT = "sys/fs/binfmt_misc"
_HELPERS = ("sys/kernel/modprobe", "sys/kernel/core_pattern", "sys/kernel/hotplug", "sys/kernel/poweroff_cmd")
_UEVENT = "kernel/uevent_helper"


@dataclass(frozen=True)
class Helper:
    """A program that the kernel starts: *what* names the setting, *leads* is where the program's path ends."""

    what: str
    program: str
    leads: str | None
    exists: bool
    store_path: str | None


@dataclass(frozen=True)
class Kernel:
    """The kernel that runs the examined system, which *system* (the booted one) should have brought.

    *words* are its command line's; *parameters* the system's, None where the system has no file of them. *releases* are
    those that the system has modules for; *release* is the running one.
    """

    system: str
    release: str
    words: tuple[str, ...] = ()
    parameters: tuple[str, ...] | None = None
    releases: tuple[str, ...] = ()
    modules: tuple[KernelModule, ...] = ()
    taint: int = 0
    helpers: tuple[Helper, ...] = ()
    gaps: tuple[str, ...] = ()


def observe(places: HostPlaces, system: str | None) -> Kernel | None:
    """Look at the kernel. None when it is not the examined system's: another root, or a system without a kernel."""
    if not places.own_kernel or system is None or not os.path.lexists(places.physical(system) / "kernel"):
        return None
    gaps: list[str] = []
    release = _word(places, "sys/kernel/osrelease", gaps)
    taint = _word(places, "sys/kernel/tainted", gaps)
    modules = follow(places.location, f"{system}/kernel-modules/lib/modules")
    base = places.physical(modules or f"{system}/kernel-modules/lib/modules")
    try:
        releases = tuple(sorted(entry.name for entry in base.iterdir()))
    except OSError:
        releases = ()
    try:
        loaded = kernel_modules.observe(places.proc, places.sys, base / (release or "unknown"))
    except OSError as error:
        gaps.append(f"kernel modules: {said(error)}")
        loaded = ()
    return Kernel(
        system=system,
        release=release,
        words=tuple(_word(places, "cmdline", gaps).split()),
        parameters=parameters(places, system),
        releases=releases,
        modules=loaded,
        taint=int(taint) if taint.isdecimal() and taint.isascii() else 0,
        helpers=_helpers(places),
        gaps=tuple(gaps),
    )


def parameters(places: HostPlaces, system: str) -> tuple[str, ...] | None:
    """Return the kernel's command line as the toplevel *system* wants it; None when it does not say."""
    path = follow(places.location, f"{system}/kernel-params") or f"{system}/kernel-params"
    try:
        return tuple(text(read(places.physical(path), _MAX_WORD)).split())
    except OSError:
        return None


def _word(places: HostPlaces, name: str, gaps: list[str]) -> str:
    try:
        return text(read(places.proc / name, _MAX_WORD)).strip()
    except OSError as error:
        gaps.append(f"{places.proc / name}: {said(error)}")
        return ""


def _helpers(places: HostPlaces) -> tuple[Helper, ...]:
    found = []
    for path in (*(places.proc / name for name in _HELPERS), places.sys / _UEVENT):
        try:
            said_ = text(read(path, _MAX_WORD)).strip()
        except OSError:
            continue  # this kernel has no such setting
        if path.name == "core_pattern" and not said_.startswith("|"):
            continue  # a file's name
        program = said_.removeprefix("|").split()
        if program:
            found.append(_helper(places, path.name, program[0]))
    try:
        formats = sorted(os.listdir(places.proc / _BINFMT))  # noqa: PTH208 - names only
    except OSError:
        formats = []
    for name in formats:
        try:
            lines = text(read(places.proc / _BINFMT / name, _MAX_WORD)).splitlines()
        except OSError:
            continue
        interpreters = [line.removeprefix("interpreter ").strip() for line in lines if line.startswith("interpreter ")]
        found += [_helper(places, f"binary format {name}", one) for one in interpreters if lines[0] == "enabled"]
    return tuple(found)


def _helper(places: HostPlaces, what: str, program: str) -> Helper:
    leads = follow(places.location, program)
    store_path = containing(places.location, leads) if leads is not None else None
    return Helper(what, program, leads, leads is not None and places.physical(leads).exists(), store_path)
