"""What processes of the machine execute: the program and every library, and whether it is what lies in the store.

A process belongs to the machine when its root directory is the machine's; others live in containers. Read are the
links and lists of /proc only; what is mapped is opened only where it is not the very file that the store has.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ec_closure.files import open_regular
from ec_verify.observe import maps, mounts
from ec_verify.observe.places import read, said, text
from ec_verify.observe.rights import lacking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_verify.location import StoreLocation
    from ec_verify.observe.mounts import Mount
    from ec_verify.observe.places import HostPlaces

_MAX_MAPS = 64 << 20
_MAX_STATUS = 1 << 20
_MAX_COMPARED = 1 << 30
_MAX_PROCESSES = 1 << 20
_BLOCK = 1 << 20
_REAL_USER = re.compile(rb"^Uid:\t(\d+)", re.MULTILINE)
_DELETED = " (deleted)"
_GONE = (FileNotFoundError, ProcessLookupError)

State = Literal["same", "differs", "unregistered", "outside", "memory"]


@dataclass(frozen=True)
class Image:
    """A file that a process executes: *path* is logical, *store_path* the path of the store that it lies in.

    *state*: `same` as what the store holds there, `differs` from it, `outside` the store, or in `memory` only.
    *program* tells whether it is the process's program, else it is mapped. *processes* counts those that do, *process*
    is the first of them and *name* its name; *root* tells whether one of them is root's.
    """

    path: str
    state: State
    program: bool
    store_path: str | None
    process: int
    name: str
    processes: int = 1
    root: bool = False
    deleted: bool = False


@dataclass(frozen=True)
class Processes:
    """All images, those in the store by store path only. *foreign_mounts* are seen by single processes.

    *examined* counts processes; *elsewhere* those in containers; *gaps* say what could not be read.
    """

    images: tuple[Image, ...] = ()
    mounts: tuple[tuple[int, str, Mount], ...] = ()
    examined: int = 0
    elsewhere: int = 0
    gaps: tuple[str, ...] = ()


@dataclass
class _Survey:
    """What was seen so far."""

    places: HostPlaces
    root: tuple[int, int]
    prefix: bytes
    images: dict[tuple[str, str, bool], Image] = field(default_factory=dict)
    states: dict[tuple[bytes, object, object], State] = field(default_factory=dict)
    namespaces: dict[str, int] = field(default_factory=dict)
    mounts: list[tuple[int, str, Mount]] = field(default_factory=list)
    examined: int = 0
    elsewhere: int = 0
    unknown: int = 0
    unread: int = 0
    unopened: set[str] = field(default_factory=set)


def observe(places: HostPlaces) -> Processes:
    """Look at every process. Processes that end meanwhile are left out; kernel threads execute no file."""
    location = places.location
    try:
        status = location.root.stat()
        names = [name for name in os.listdir(places.proc) if name.isascii() and name.isdigit()]  # noqa: PTH208 - names only
        own = str((places.proc / "self/ns/mnt").readlink())
    except OSError as error:
        return Processes(gaps=(f"processes: {said(error)}",))
    real = os.fsencode(os.path.realpath(location.root)).rstrip(b"/")
    survey = _Survey(places, (status.st_dev, status.st_ino), real, namespaces={own: 0})
    for name in sorted(names, key=int)[:_MAX_PROCESSES]:
        _look(survey, int(name), places.proc / name)
    gaps = []
    if survey.unread:
        gaps.append(f"{survey.unread} processes could not be read{lacking('CAP_SYS_PTRACE')}")
    if survey.unopened:
        # Without this a file that was put in a library's place would be taken for it, by its name.
        gaps.append(f"{len(survey.unopened)} mapped files could not be opened{lacking('CAP_CHECKPOINT_RESTORE')}")
    if survey.unknown and places.own_kernel:
        # With another root, whose processes these are is not known either: nothing says that they are the machine's.
        gaps.append(f"{survey.unknown} processes of other users could not be read{lacking('CAP_SYS_PTRACE')}")
    return Processes(
        tuple(survey.images.values()), tuple(survey.mounts), survey.examined, survey.elsewhere, tuple(gaps)
    )


def _look(survey: _Survey, process: int, place: Path) -> None:
    try:
        root = (place / "root").stat()
    except _GONE:
        return  # it ended, or is a zombie
    except OSError:
        survey.unknown += 1
        return
    if (root.st_dev, root.st_ino) != survey.root:
        survey.elsewhere += 1
        return
    try:
        program = os.readlink(os.fsencode(place / "exe"))  # noqa: PTH115 - bytes
    except _GONE:
        return  # a thread of the kernel
    except OSError:
        survey.unread += 1
        return
    try:
        status = read(place / "status", _MAX_STATUS)
        mapped = maps.parse(read(place / "maps", _MAX_MAPS))
    except _GONE:
        return
    except OSError:
        survey.unread += 1
        return
    survey.examined += 1
    name = text(status.partition(b"\n")[0].removeprefix(b"Name:").strip())
    match = _REAL_USER.search(status)
    user_is_root = match is None or match[1] == b"0"
    deleted = program.endswith(os.fsencode(_DELETED))
    program = program.removesuffix(os.fsencode(_DELETED))
    seen = Image("", "same", program=True, store_path=None, process=process, name=name, root=user_is_root)
    _add(survey, replace(seen, deleted=deleted), program, place / "exe", None)
    for one in mapped:
        if one.path != program or one.deleted != deleted:
            _add(
                survey,
                replace(seen, program=False, deleted=one.deleted),
                one.path,
                place / "map_files" / one.range,
                (one.device, one.inode),
            )
    _namespace(survey, process, name, place)


def _add(survey: _Survey, seen: Image, path: bytes, handle: Path, identity: tuple[bytes, int] | None) -> None:
    logical = text(path.removeprefix(survey.prefix))
    location = survey.places.location
    inside = path.startswith(survey.prefix + b"/")
    store_path, state = None, "outside"
    if path.startswith(b"/memfd:"):
        state = "memory"
    elif inside and logical.startswith(f"{location.store_dir}/"):
        base = logical[len(location.store_dir) + 1 :].split("/", 1)[0]
        store_path = f"{location.store_dir}/{base}"
        state = _state(survey, logical, handle, identity)
    if state == "same" and store_path is not None:
        logical = store_path
    key = (logical, state, seen.program)
    known = survey.images.get(key)
    if known is None:
        # The names of states are their type.
        found: State = state  # type: ignore[assignment]
        survey.images[key] = replace(seen, path=logical, state=found, store_path=store_path)
    else:
        survey.images[key] = replace(known, processes=known.processes + 1, root=known.root or seen.root)


def _state(survey: _Survey, logical: str, handle: Path, identity: tuple[bytes, int] | None) -> State:
    """Tell whether what is executed is the file that the store has. Looked up once for each file."""
    try:
        key: tuple[bytes, object, object]
        if identity is None:
            status = handle.stat()
            key = (os.fsencode(logical), status.st_dev, status.st_ino)
        else:
            key = (os.fsencode(logical), *identity)
        if (known := survey.states.get(key)) is not None:
            return known
        status = handle.stat()
    except PermissionError:
        survey.unopened.add(logical)
        return "same"
    except OSError:
        # It ended meanwhile, or this kernel shows no mapped files: nothing speaks against the name.
        return "same"
    survey.states[key] = state = _compare(survey.places.physical(logical), handle, status)
    return state


def _compare(file: Path, handle: Path, status: os.stat_result) -> State:
    try:
        own = file.lstat()
    except OSError:
        return "differs"
    if (own.st_dev, own.st_ino) == (status.st_dev, status.st_ino):
        return "same"
    # An optimised store has another inode with the same bytes, and a running program keeps the old one.
    if own.st_size != status.st_size or status.st_size > _MAX_COMPARED:
        return "differs"
    try:
        with open_regular(file) as first, handle.open("rb") as second:
            while True:
                one, two = first.read(_BLOCK), second.read(_BLOCK)
                if one != two:
                    return "differs"
                if not one:
                    return "same"
    except OSError:
        return "differs"


def _namespace(survey: _Survey, process: int, name: str, place: Path) -> None:
    """Look for mounts over store paths in a mount namespace that was not seen before."""
    try:
        namespace = str((place / "ns/mnt").readlink())
        if namespace in survey.namespaces:
            return
        survey.namespaces[namespace] = process
        found = mounts.parse(read(place / "mountinfo", _MAX_MAPS))
    except OSError:
        return  # it ended: whoever shares its namespace is asked in its place
    survey.mounts += [
        (process, name, mount)
        for mount in _over_store(survey.places.location, found)
        if not _same(survey.places.physical(mount.point), Path(f"{place}/root{mount.point}"))
    ]


def _over_store(location: StoreLocation, found: list[Mount]) -> Iterator[Mount]:
    """Return the mounts below the store directory; the kernel spells their points as the process sees them."""
    return (mount for mount in found if mount.point.startswith(f"{location.store_dir}/"))


def _same(own: Path, other: Path) -> bool:
    """Tell whether both are one file: a service may see a store path through a mount of itself, read-only."""
    try:
        one, two = own.lstat(), other.lstat()
    except OSError:
        return False
    return (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino)
