"""Files that firmware and boot loaders read, and what each menu entry would start.

Boot loaders of NixOS copy kernels and initial RAM disks out of the store, where nothing looks after them. Read here are
entries of systemd-boot (with its unified images), of extlinux.conf and of grub.cfg; every file that an entry names; and
what else lies there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, BinaryIO

from ec_closure.files import open_regular
from ec_verify.observe import extlinux, grub, loader_entry, pe
from ec_verify.observe.boot_files import MAX_FILE, Loaded, hashed, load, walk
from ec_verify.observe.boot_system import BootSystem, look_at_system
from ec_verify.observe.loader_entry import LoaderEntry
from ec_verify.observe.places import read, said, text
from ec_verify.observe.running import containing, follow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ec_verify.observe.places import HostPlaces

_MAX_CONFIG = 8 << 20
_MAX_MENU = 2 << 20
_MAX_ENTRIES = 5000
_MAX_INITRDS = 50
_VARIABLES = "firmware/efi/efivars"
_LOADER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
_MAX_VARIABLE = 64 << 10
_IMAGES = "EFI/Linux"


@dataclass(frozen=True)
class BootFile:
    """A file, or a section of one, below a boot directory. *sha256* is None where it was not read.

    *executable* tells whether firmware could start it.
    """

    path: str
    size: int
    sha256: str | None = None
    executable: bool = False


@dataclass(frozen=True)
class BootEntry:
    """One choice in a boot menu: *file* says where it stands, *system* is the toplevel whose `init` it starts.

    *init* is what its command line says; *words* are all of the command line. *next* tells whether it is started next,
    as far as files and firmware variables say.
    """

    file: str
    name: str
    kernel: Loaded | None = None
    initrds: tuple[Loaded, ...] = ()
    words: tuple[str, ...] = ()
    init: str | None = None
    system: str | None = None
    program: str | None = None
    next: bool = False


@dataclass(frozen=True)
class Boot:
    """Everything about booting. *systems* are those that entries name; *others* files that no entry names.

    *loaders* are the hashes of boot loaders that known systems hold. *gaps* say what could not be read.
    """

    entries: tuple[BootEntry, ...] = ()
    systems: dict[str, BootSystem] = field(default_factory=dict)
    others: tuple[BootFile, ...] = ()
    loaders: frozenset[str] = frozenset()
    gaps: tuple[str, ...] = ()


def observe(places: HostPlaces, known: Iterable[str]) -> Boot:
    """Read the boot directories of the machine; *known* are systems that may have brought the boot loader."""
    gaps: list[str] = []
    bases = _bases(places)
    entries: list[BootEntry] = []
    others: list[BootFile] = []
    cache: dict[str, Loaded] = {}
    systems: dict[str, BootSystem] = {}
    for base in bases:
        walked = dict(walk(places, base, set(bases) - {base}, gaps))
        found = _bounded(base, _entries(places, base, walked, gaps), gaps)
        named: set[str] = set()
        for file, entry, is_next in found:
            made = _entry(places, base, file, entry, systems, cache, gaps)
            entries.append(replace(made, next=is_next))
            # An image without a kernel that can be found is looked at as any other program is.
            named |= {file} if entry.program != file else set()
            named |= {one.path for one in (made.kernel, *made.initrds) if one is not None}
            named |= {f"{base}/{path.lstrip('/')}" for path in (entry.device_tree, entry.program) if path}
        folded = {path.casefold() for path in named}
        others += [
            _other(places, path, status.st_size, gaps)
            for path, status in walked.items()
            if path.casefold() not in folded
        ]
    loaders = frozenset(digest for system in sorted(set(known)) for digest in _loaders(places, system))
    return Boot(tuple(entries), systems, tuple(others), loaders, tuple(gaps))


def _bounded(
    base: str, found: list[tuple[str, LoaderEntry, bool]], gaps: list[str]
) -> list[tuple[str, LoaderEntry, bool]]:
    """Return as many entries, with as many initial RAM disks, as are worth to be read; gaps tell of the rest."""
    if len(found) > _MAX_ENTRIES or any(len(entry.initrds) > _MAX_INITRDS for _, entry, _ in found):
        gaps.append(f"{base}: more than {_MAX_ENTRIES} entries, or {_MAX_INITRDS} initial RAM disks in one")
    return [
        (file, replace(entry, initrds=entry.initrds[:_MAX_INITRDS]), is_next)
        for file, entry, is_next in found[:_MAX_ENTRIES]
    ]


def _bases(places: HostPlaces) -> tuple[str, ...]:
    """Return the boot directories that exist, each once.

    One below another, on the same file system, is a part of it: on vfat `/boot/efi` is `/boot/EFI`.
    """
    found: dict[tuple[int, int], str] = {}
    for base in places.boot:
        leads = follow(places.location, base)
        if leads is None:
            continue
        try:
            status = places.physical(leads).stat()
        except OSError:
            continue
        if stat.S_ISDIR(status.st_mode):
            found.setdefault((status.st_dev, status.st_ino), leads)
    return tuple(
        base
        for (device, _), base in found.items()
        if not any(device == other and base.startswith(f"{above}/") for (other, _), above in found.items())
    )


def _entries(
    places: HostPlaces, base: str, walked: dict[str, os.stat_result], gaps: list[str]
) -> list[tuple[str, LoaderEntry, bool]]:
    """Return the entries of one partition, with the file that each stands in and whether it is started next."""
    menu: list[tuple[str, LoaderEntry]] = []
    found: list[tuple[str, LoaderEntry, bool]] = []
    for path in walked:
        place, _, name = path[len(base) + 1 :].rpartition("/")
        folded = place.casefold()
        try:
            if folded == "loader/entries" and name.lower().endswith(".conf"):
                menu.append((path, loader_entry.parse(name, text(read(places.physical(path), _MAX_CONFIG)))))
            elif folded == _IMAGES.casefold() and name.lower().endswith(".efi"):
                menu.append((path, _image(places, path, name)))
            elif folded in ("extlinux", "boot/extlinux", "syslinux", "") and name == "extlinux.conf":
                entries, labels = extlinux.parse(text(read(places.physical(path), _MAX_CONFIG)), place)
                found += [(path, one, one.name in labels) for one in entries]
            elif name == "grub.cfg":
                found += [(path, *one) for one in grub.parse(text(read(places.physical(path), _MAX_MENU)))]
        except FileNotFoundError:
            continue
        except OSError as error:
            gaps.append(f"{path}: {said(error)}")
    patterns = _patterns(places, base)
    if any(len(one) > loader_entry.MAX_PATTERN for one in patterns):
        gaps.append(f"{base}: what is started by default is more than {loader_entry.MAX_PATTERN} characters long")
    chosen = loader_entry.next_of({one.name: one.sort for _, one in menu}, patterns)
    return [*((path, one, one.name == chosen) for path, one in menu), *found]


def _patterns(places: HostPlaces, base: str) -> tuple[str, ...]:
    """Return what systemd-boot was told to start: by variables of the firmware, then by loader.conf."""
    patterns = []
    if places.own_kernel:
        for name in ("LoaderEntryOneShot", "LoaderEntryDefault"):
            try:
                data = read(places.sys / _VARIABLES / f"{name}-{_LOADER}", _MAX_VARIABLE)
            except OSError:
                continue
            patterns.append(loader_entry.variable(data))
    with contextlib.suppress(OSError):  # without it the newest entry is started
        patterns += loader_entry.defaults(text(read(places.physical(f"{base}/loader/loader.conf"), _MAX_CONFIG)))
    return tuple(filter(None, patterns))


def _image(places: HostPlaces, path: str, name: str) -> LoaderEntry:
    """Describe a unified kernel image as an entry: kernel and initial RAM disk are sections of the file itself."""
    with open_regular(places.physical(path)) as file:
        parts = pe.unique(pe.sections(file.read(pe.HEADER_BYTES)))
        words = _section(file, parts, ".cmdline").decode(errors="replace").rstrip("\0").split()
        release = _section(file, parts, ".osrel").decode(errors="replace").rstrip("\0")
    version = next((line[8:].strip('"') for line in release.splitlines() if line.startswith("VERSION=")), "")
    kernel = f"{path}:.linux" if ".linux" in parts else None
    initrds = (f"{path}:.initrd",) if ".initrd" in parts else ()
    # What has no kernel that can be found starts whatever it likes.
    return LoaderEntry(name, kernel, initrds, tuple(words), None, None if kernel else path, ("", version))


def _section(file: BinaryIO, parts: dict[str, pe.Section], name: str) -> bytes:
    if name not in parts:
        return b""
    file.seek(parts[name].offset)
    return file.read(min(parts[name].size, _MAX_CONFIG))


def _entry(
    places: HostPlaces,
    base: str,
    file: str,
    entry: LoaderEntry,
    systems: dict[str, BootSystem],
    cache: dict[str, Loaded],
    gaps: list[str],
) -> BootEntry:
    inits = [word.removeprefix("init=") for word in entry.options if word.startswith("init=")]
    system = None
    if inits:
        leads = follow(places.location, inits[-1].rpartition("/")[0])
        system = containing(places.location, leads) if leads is not None else None
    if system is not None and system not in systems:
        systems[system] = look_at_system(places, system)
    sizes = systems[system].sizes if system is not None else frozenset()

    def loaded(path: str) -> Loaded:
        where = path if path.startswith(f"{file}:.") else f"{base}/{path.lstrip('/')}"
        key = f"{where}\0{sorted(sizes)}"
        if key not in cache:
            section = path.removeprefix(f"{file}:") if where == path else ""
            cache[key] = load(places, base, where.removesuffix(f":{section}"), section, path, sizes, gaps)
        return cache[key]

    return BootEntry(
        file,
        entry.name,
        loaded(entry.kernel) if entry.kernel else None,
        tuple(map(loaded, entry.initrds)),
        entry.options,
        inits[-1] if inits else None,
        system,
        entry.program,
    )


def _other(places: HostPlaces, path: str, size: int, gaps: list[str]) -> BootFile:
    """Look at a file that no entry names: hashed only when firmware could start it."""
    try:
        with open_regular(places.physical(path)) as file:
            program = file.read(2) == b"MZ"
            if not program:
                return BootFile(path, size)
            file.seek(0)
            return BootFile(path, size, hashed(file, min(size, MAX_FILE), frozenset())[0], executable=True)
    except FileNotFoundError:
        return BootFile(path, size)
    except OSError as error:
        gaps.append(f"{path}: {said(error)}")
        return BootFile(path, size)


def _loaders(places: HostPlaces, system: str) -> Iterator[str]:
    """Return the hashes of the boot loaders that *system*'s systemd has."""
    directory = follow(places.location, f"{system}/systemd/lib/systemd/boot/efi")
    if directory is None or containing(places.location, directory) is None:
        return
    base: Path = places.physical(directory)
    try:
        names = sorted(name for name in os.listdir(base) if name.endswith(".efi"))  # noqa: PTH208 - names only
    except OSError:
        return
    for name in names:
        try:
            yield hashlib.sha256(read(base / name, _MAX_CONFIG)).hexdigest()
        except OSError:
            continue
