"""Findings about what boots: kernels, initial RAM disks, menu entries and what else firmware could start."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ec_closure.policy import matches
from ec_verify.judge.gravest import gravest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_closure.manifest import Manifest
    from ec_closure.report import Finding
    from ec_verify.judge.case import Case
    from ec_verify.observe.boot import Boot, BootEntry, BootFile
    from ec_verify.observe.boot_files import Loaded
    from ec_verify.observe.boot_system import BootSystem, StoredFile

# A stub that names signed files elsewhere, in place of the kernel itself
_STUB = 4096
_QUOTES = str.maketrans("", "", "\"'\\")
# What boot loaders keep for themselves, by path below the boot directory, in lower case.
_OWN = (
    "loader/*",
    "grub/*",
    "efi/nixos/.extra-files/*",
    "converted-font.pf2",
    "background.*",
    "theme/*",
    "nixos/*",
    "system volume information/*",
    "lost+found/*",
    "extlinux/*",
)
# Kernels and initial RAM disks that no entry names any more
_LEFT = ("efi/nixos/*", "kernels/*", "nixos/*", "grub/*")
_GRUB = ("*/grub*.efi", "efi/boot/boot*.efi", "efi/*/shim*.efi")


def signed_boot_files(case: Case) -> dict[tuple[str, str], str]:
    """Return the signed SHA-256 of `kernel` and `initrd` by system."""
    found: dict[tuple[str, str], str] = {}
    manifests: list[Manifest] = [one for one in (case.manifest, *case.trust.others) if one is not None]
    for manifest in manifests:
        systems = {f"specialisation/{name}": path for name, path in manifest.system.specialisations.items()}
        systems[""] = manifest.system.out_path
        for file in manifest.boot:
            prefix, _, name = file.name.rpartition("/")
            if prefix in systems:
                found[systems[prefix], name] = file.sha256
    return found


def judge_boot(case: Case) -> Iterable[Finding]:
    """Judge the entries of boot menus, the files that they load, and the files that none does."""
    host = case.observation.host
    if host is None:
        return
    signed = signed_boot_files(case)
    known = case.family | case.trusted
    for entry in host.boot.entries:
        yield from _entry(case, host.boot, entry, signed, known)
    yield from _others(case, host.boot)


def _entry(
    case: Case, boot: Boot, entry: BootEntry, signed: dict[tuple[str, str], str], known: frozenset[str]
) -> Iterable[Finding]:
    label = f"the boot entry {entry.name}"
    if entry.kernel is None and entry.program is None:
        return
    if entry.init is None or entry.program is not None:
        what = f"{label} starts {entry.program or (entry.kernel.path if entry.kernel else '')}, which is no system"
        if entry.next:
            yield case.finding("EV308", f"{what}, and is started next", entry.file)
        else:
            yield case.weaker("EV308", "info", what, entry.file)
        return
    if entry.system is None or entry.init.rpartition("/")[2] != "init":
        yield case.finding("EV308", f"{label} starts {entry.init}, which is no system's init", entry.file)
        return
    system = boot.systems[entry.system]
    # Without a manifest, nothing can be said of systems but whether the files are theirs.
    if case.manifest is not None and entry.system not in known:
        yield _stranger(case, entry, system, label)
    yield from _words(case, entry, system, label)
    if entry.kernel is not None:
        yield from _file(case, entry, entry.kernel, signed.get((entry.system, "kernel")), system.kernel, "kernel")
    yield from _initrds(case, entry, system, signed.get((entry.system, "initrd")))


def _stranger(case: Case, entry: BootEntry, system: BootSystem, label: str) -> Finding:
    message = f"{label} names {system.path}, which is in no trusted manifest"
    if entry.next:
        return case.finding("EV308", f"{message}, and is started next", entry.file)
    if system.present:
        return case.weaker("EV308", "warn", message, entry.file)
    # Entries of collected generations stay in the menu until the boot loader is installed anew.
    return case.weaker("EV308", "info", f"{message} and no longer in the store", entry.file)


def plain(words: Iterable[str]) -> list[str]:
    """Return the words of a command line as the kernel splits it: boot loaders quote in ways of their own."""
    return " ".join(words).translate(_QUOTES).split()


def _words(case: Case, entry: BootEntry, system: BootSystem, label: str) -> Iterable[Finding]:
    if system.parameters is None:
        return
    wanted = plain((f"init={entry.init}", *system.parameters))
    given = [word for word in plain(entry.words) if not word.startswith("initrd=")]
    if given == wanted:
        return
    added, lost = list((Counter(given) - Counter(wanted)).elements()), Counter(wanted) - Counter(given)
    told = [f"{word!r} is added" for word in added] + [f"{word!r} is left out" for word in lost.elements()]
    words = "; ".join(told[:5]) or "its words stand in another order"
    yield case.finding(
        "EV308", f"{label} gives its kernel another command line than {system.path}: {words}", entry.file
    )


def _file(
    case: Case, entry: BootEntry, file: Loaded, signed: str | None, stored: StoredFile | None, what: str
) -> Iterable[Finding]:
    """Judge a file against the signed one, or else against the one that the store has for the entry's system."""
    expected = signed or (stored.sha256 if stored is not None else None)
    if file.missing:
        message = f"the {what} of the boot entry {entry.name} is not there"
        yield (
            case.finding("EV307", message, file.path)
            if entry.next
            else case.weaker("EV307", "info", message, file.path)
        )
    elif file.store_path is not None:
        if stored is None or file.path != stored.path:
            yield case.finding("EV307", f"the {what} of the boot entry {entry.name} is another system's", file.path)
    elif file.sha256 is None or expected is None or file.sha256 == expected:
        return
    elif file.path.endswith((":.linux", ":.initrd")) and file.size < _STUB:
        yield case.weaker("EV307", "info", f"{file.path} names a signed {what}, which is not compared", file.path)
    else:
        yield case.finding(
            "EV307", f"the {what} of the boot entry {entry.name} is not that of {entry.system}", file.path
        )


def _initrds(case: Case, entry: BootEntry, system: BootSystem, signed: str | None) -> Iterable[Finding]:
    if system.initrd is not None and not entry.initrds:
        yield case.finding("EV307", f"the boot entry {entry.name} loads no initial RAM disk", entry.file)
    for place, file in enumerate(entry.initrds):
        secrets = system.secrets and _with_secrets(file, system, signed, first=place == 0)
        if secrets:
            message = f"{file.path} holds secrets of this machine, which nothing can be compared with"
            yield case.weaker("EV307", "info", message, file.path)
        elif place == 0:
            yield from _file(case, entry, file, signed, system.initrd, "initial RAM disk")
        elif any(file.path.endswith(f"/{extra.lstrip('/')}") for extra in system.extra):
            message = f"{file.path} is an initial RAM disk beyond the system's own, which declares it"
            yield case.weaker("EV307", "info", message, file.path)
        else:
            message = f"the boot entry {entry.name} loads one more initial RAM disk than {entry.system} has"
            yield case.finding("EV307", message, file.path)


def _with_secrets(file: Loaded, system: BootSystem, signed: str | None, *, first: bool) -> bool:
    """Tell whether a file is the system's initial RAM disk with something appended, or GRUB's file of secrets."""
    if not first:
        return file.path.endswith(f"{system.path.rpartition('/')[2]}-secrets")
    expected = signed or (system.initrd.sha256 if system.initrd is not None else None)
    return system.initrd is not None and dict(file.beginnings).get(system.initrd.size) == expected


def _others(case: Case, boot: Boot) -> Iterable[Finding]:
    """Judge files that no entry names: what firmware could start one by one, the rest together."""
    extras = {one.path.partition("/.extra-files/")[2].casefold() for one in boot.others if "/.extra-files/" in one.path}
    grub = any(entry.file.endswith("/grub.cfg") for entry in boot.entries)
    plain_files = []
    programs = []
    for file in boot.others:
        below = _below(file.path)
        if matches(file.path, case.policy.allowed_boot) or (not file.executable and matches(below, _OWN)):
            continue
        if file.executable and file.sha256 not in boot.loaders:
            programs.append((file, below in extras or matches(below, _LEFT) or (grub and matches(below, _GRUB))))
        elif not file.executable:
            plain_files.append(file.path)
    yield from gravest(_program(case, file, explained=explained) for file, explained in programs)
    if plain_files:
        message = f"{len(plain_files)} files that no boot entry names, the first {plain_files[0]}"
        yield case.weaker("EV309", "info", message, plain_files[0])


def _program(case: Case, file: BootFile, *, explained: bool) -> Finding:
    if explained:
        return case.weaker("EV309", "info", f"{file.path} is left by a boot loader, which names it no more", file.path)
    return case.finding("EV309", f"{file.path} is a program for firmware that no known system holds", file.path)


def _below(path: str) -> str:
    """Return *path* relative to its boot directory, in lower case."""
    for base in ("/boot/efi/", "/boot/", "/efi/"):
        if path.startswith(base):
            return path.removeprefix(base).casefold()
    return path.lstrip("/").partition("/")[2].casefold()
