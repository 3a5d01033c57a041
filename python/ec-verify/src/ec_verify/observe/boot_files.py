"""Files below boot directories: found, named by boot loaders in their own ways, and hashed."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from ec_closure.files import open_regular
from ec_verify.observe import pe
from ec_verify.observe.places import said
from ec_verify.observe.running import containing, follow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_verify.observe.places import HostPlaces

MAX_FILE = 4 << 30
_MAX_FILES = 50_000
_MAX_DEPTH = 12
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Loaded:
    """A file that an entry names: *path* is logical, *store_path* its store path when it lies in the store itself.

    *beginnings* are the hashes of its first bytes, by their number: what a system's own file would be if something was
    appended. *missing* tells that there is none.
    """

    path: str
    size: int = 0
    sha256: str | None = None
    store_path: str | None = None
    beginnings: tuple[tuple[int, str], ...] = ()
    missing: bool = False


def walk(places: HostPlaces, base: str, apart: set[str], gaps: list[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Return the regular files below *base* by logical path, without the directories *apart*."""
    todo = [base]
    count = 0
    while todo:
        directory = todo.pop()
        try:
            with os.scandir(places.physical(directory)) as listing:
                found = sorted(listing, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            gaps.append(f"{directory}: {said(error)}")
            continue
        for entry in found:
            path = f"{directory}/{entry.name}"
            count += 1
            if count > _MAX_FILES or path.count("/") > base.count("/") + _MAX_DEPTH:
                gaps.append(f"{base}: more than {_MAX_FILES} files or deeper than {_MAX_DEPTH} directories")
                return
            if path in apart:
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # it went meanwhile
            if stat.S_ISDIR(status.st_mode):
                todo.append(path)
            elif stat.S_ISREG(status.st_mode):
                yield path, status


def load(
    places: HostPlaces, base: str, where: str, section: str, named: str, sizes: frozenset[int], gaps: list[str]
) -> Loaded:
    """Read a file that an entry names, or *section* of an image. GRUB may name the store's own files."""
    found = _case(places, base, where)
    if found is None:
        in_store = _in_store(places, named)
        return Loaded(in_store or where, store_path=containing(places.location, in_store) if in_store else None,
                      missing=in_store is None)  # fmt: skip
    try:
        with open_regular(places.physical(found)) as file:
            size = os.fstat(file.fileno()).st_size
            if section:
                part = pe.unique(pe.sections(file.read(pe.HEADER_BYTES))).get(section)
                if part is None:
                    return Loaded(where, missing=True)
                file.seek(part.offset)
                size = part.size
            else:
                file.seek(0)
            digest, beginnings = hashed(file, min(size, MAX_FILE), sizes)
    except OSError as error:
        gaps.append(f"{found}: {said(error)}")
        return Loaded(found)
    return Loaded(f"{found}:{section}" if section else found, size, digest, None, tuple(sorted(beginnings.items())))


def hashed(file: BinaryIO, size: int, sizes: frozenset[int]) -> tuple[str, dict[int, str]]:
    """Hash *size* bytes, and note the hash at each of *sizes* on the way."""
    digest, done, beginnings = hashlib.sha256(), 0, {}
    stops = iter([*sorted(one for one in sizes if one < size), size])
    stop = next(stops)
    while done < size:
        block = file.read(min(_BLOCK, stop - done))
        if not block:
            break
        digest.update(block)
        done += len(block)
        if done == stop and stop < size:
            beginnings[stop] = digest.hexdigest()
            stop = next(stops)
    return digest.hexdigest(), beginnings


def _case(places: HostPlaces, base: str, path: str) -> str | None:
    """Return how *path* below *base* is spelled on the disk: boot partitions know no case, and paths no dots."""
    parts = [part for part in path.removeprefix(base).replace("\\", "/").split("/") if part not in ("", ".")]
    if ".." in parts:
        return None
    found = base
    for part in parts:
        if not os.path.lexists(places.physical(f"{found}/{part}")):
            try:
                names = os.listdir(places.physical(found))  # noqa: PTH208 - names only
            except OSError:
                return None
            spelled = next((name for name in names if name.casefold() == part.casefold()), None)
            if spelled is None:
                return None
            found = f"{found}/{spelled}"
        else:
            found = f"{found}/{part}"
    return found


def _in_store(places: HostPlaces, named: str) -> str | None:
    """Return the store's file that a boot loader names: with the directory that the store has on its partition."""
    store_dir = places.location.store_dir
    parts = named.split("/")
    for start in range(len(parts)):
        path = f"{store_dir}/{'/'.join(parts[start:])}"
        if containing(places.location, path) is not None and os.path.lexists(places.physical(path)):
            return follow(places.location, path)
    return None
