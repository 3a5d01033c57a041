"""/etc against the etc of the running system.

NixOS makes /etc in one of two ways. Either a script links each entry to /etc/static, which links to the system's etc,
and copies what has a mode of its own (`NAME.mode`, `NAME.uid` and `NAME.gid` lie beside it); or /etc is an overlay
whose lower layer shows the same entries as links into the store and as files. Both are accepted, entry by entry.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ec_verify.observe.places import read, said, text
from ec_verify.observe.running import containing, follow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ec_verify.observe.places import HostPlaces

_ETC = "/etc"
_STATIC = "/etc/static"
_COMPANIONS = (".mode", ".uid", ".gid")
_DIRECT = "direct-symlink"
_MAX_ENTRIES = 200_000
_MAX_DEPTH = 40
_MAX_FILE = 16 << 20
_MAX_WORD = 256
_OCTAL = re.compile(r"[0-7]{1,5}")

Departure = Literal["static", "shadowed", "altered", "mode", "missing", "stray"]


@dataclass(frozen=True)
class EtcEntry:
    """How one entry departs from the running system's etc. *name* is relative to /etc.

    `static`: /etc/static leads elsewhere. `shadowed`: the system has another entry here. `altered`: a copied file has
    other bytes. `mode`: it has another mode or owner. `missing`: it is gone. `stray`: the system knows no such entry.
    *writable* tells whether the system lets its owner write to the file.
    """

    name: str
    departure: Departure
    detail: str
    writable: bool = False


@dataclass(frozen=True)
class Etc:
    """All departures; *known* counts the entries of the system's etc. *gaps* say what could not be read."""

    entries: tuple[EtcEntry, ...] = ()
    known: int = 0
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Wanted:
    """An entry of the system's etc: a link to *target*, or (with *mode*) a copy of the file behind it."""

    source: Path
    target: str
    mode: str = ""
    uid: str = ""
    gid: str = ""


def observe(places: HostPlaces, current: str | None) -> Etc:
    """Compare /etc with *current*'s. A system without an etc has none to depart from."""
    origin = follow(places.location, f"{current}/etc") if current is not None else None
    if origin is None or containing(places.location, origin) is None or not places.physical(origin).is_dir():
        return Etc()
    if not places.physical(_ETC).is_dir():
        return Etc((EtcEntry("", "missing", "there is no /etc"),))
    gaps: list[str] = []
    wanted = dict(_wanted(places, origin, gaps))
    found: list[EtcEntry] = []
    seen: set[str] = set()
    for name, entry in _walk(places.physical(_ETC), gaps):
        seen.add(name)
        try:
            found += _look(places, name, entry, wanted.get(name), origin)
        except FileNotFoundError:
            seen.discard(name)  # it went meanwhile
        except OSError as error:
            gaps.append(f"/etc/{name}: {said(error)}")
    found += [EtcEntry(name, "missing", "it is gone") for name in sorted(wanted.keys() - seen)]
    return Etc(tuple(found), len(wanted), tuple(gaps))


def _look(
    places: HostPlaces, name: str, entry: os.DirEntry[str], wanted: _Wanted | None, origin: str
) -> Iterator[EtcEntry]:
    if name == "static":
        leads = follow(places.location, _STATIC)
        if leads != origin:
            yield EtcEntry(name, "static", f"leads to {leads}, the running system's etc is {origin}")
    elif entry.is_dir(follow_symlinks=False):
        # A directory where the system has a link: its entries follow, each a stray.
        if wanted is not None:
            yield EtcEntry(name, "shadowed", "a directory")
    elif wanted is None:
        yield EtcEntry(name, "stray", _what(entry))
    else:
        yield from _compare(places, name, entry, wanted)


def _compare(places: HostPlaces, name: str, entry: os.DirEntry[str], one: _Wanted) -> Iterator[EtcEntry]:
    if not one.mode or one.mode == _DIRECT:
        if not entry.is_symlink():
            yield EtcEntry(name, "shadowed", _what(entry))
            return
        target = _target(entry)
        # The script's form; the overlay's form, which is also that of direct links.
        if target not in (f"{_STATIC}/{name}", one.target):
            yield EtcEntry(name, "shadowed", _what(entry))
        return
    if not entry.is_file(follow_symlinks=False):
        yield EtcEntry(name, "shadowed", _what(entry))
        return
    writable = not _OCTAL.fullmatch(one.mode) or bool(int(one.mode, 8) & stat.S_IWUSR)
    status = entry.stat(follow_symlinks=False)
    if read(places.physical(f"{_ETC}/{name}"), _MAX_FILE) != read(one.source, _MAX_FILE):
        yield EtcEntry(name, "altered", "its bytes are not those that the system copied here", writable)
    differing = [
        f"{word} {is_} instead of {wanted}"
        for word, wanted, is_ in (
            ("mode", one.mode.lstrip("0"), f"{stat.S_IMODE(status.st_mode):o}"),
            # Names of users are looked up by the script; here only numbers are compared.
            ("owner", one.uid.removeprefix("+"), str(status.st_uid)),
            ("group", one.gid.removeprefix("+"), str(status.st_gid)),
        )
        if wanted.isdecimal() and wanted != is_
    ]
    if differing:
        yield EtcEntry(name, "mode", ", ".join(differing), writable)


def _wanted(places: HostPlaces, origin: str, gaps: list[str]) -> Iterator[tuple[str, _Wanted]]:
    """Return the entries of the system's etc at the logical path *origin*."""
    base = places.physical(origin)
    names = {name: entry for name, entry in _walk(base, gaps) if not entry.is_dir(follow_symlinks=False)}
    for name, entry in names.items():
        stem, dot, suffix = name.rpartition(".")
        if f"{dot}{suffix}" in _COMPANIONS and stem in names and f"{stem}.mode" in names:
            continue
        try:
            target = _target(entry)
            words = [_word(base / f"{name}{end}") if f"{name}.mode" in names else "" for end in _COMPANIONS]
        except OSError as error:
            gaps.append(f"{origin}/{name}: {said(error)}")
            continue
        source = follow(places.location, f"{origin}/{name}") or f"{origin}/{name}"
        yield name, _Wanted(places.physical(source), target or f"{origin}/{name}", *words)


def _word(path: Path) -> str:
    return text(read(path, _MAX_WORD)).strip()


def _target(entry: os.DirEntry[str]) -> str:
    """Return the text of a link; empty for what is none."""
    return os.readlink(entry.path) if entry.is_symlink() else ""  # noqa: PTH115 - the text itself, not a path


def _what(entry: os.DirEntry[str]) -> str:
    """Say what an entry is."""
    try:
        if entry.is_symlink():
            return f"a link to {_target(entry)}"
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        return said(error)
    return f"a file of {status.st_size} bytes" if stat.S_ISREG(status.st_mode) else "a special file"


def _walk(base: Path, gaps: list[str]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Return everything below *base* by its relative path, links unfollowed. What vanishes meanwhile is left out."""
    todo = [("", base)]
    count = 0
    while todo:
        prefix, directory = todo.pop()
        try:
            with os.scandir(directory) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            gaps.append(f"/etc/{prefix.rstrip('/')}: {said(error)}")
            continue
        for entry in entries:
            count += 1
            if count > _MAX_ENTRIES:
                gaps.append(f"{base}: more than {_MAX_ENTRIES} entries")
                return
            name = f"{prefix}{entry.name}"
            yield name, entry
            if entry.is_dir(follow_symlinks=False):
                if name.count("/") < _MAX_DEPTH:
                    todo.append((f"{name}/", directory / entry.name))
                else:
                    gaps.append(f"/etc/{name}: deeper than {_MAX_DEPTH} directories")
