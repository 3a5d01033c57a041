"""Looking at one store path: what a worker of the pool does."""

from __future__ import annotations

import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ec_closure.content_address import ContentAddress, recompute, store_path_of
from ec_closure.errors import BadInputError, EcError
from ec_closure.nar.dump import dump
from ec_closure.nar.errors import TreeChangedError, TreeTooLargeError, UnsupportedFileError, from_os_error
from ec_closure.nar.hash import hash_path
from ec_closure.references import ReferenceScanner
from ec_closure.store_path import StorePath
from ec_verify.scan.fingerprint import Fingerprint, Gatherer, fingerprint
from ec_verify.scan.metadata import Anomaly, Owner, inspector
from ec_verify.scan.sparse import bounded
from ec_verify.text import printable

if TYPE_CHECKING:
    from ec_closure.hashes import Hash


@dataclass(frozen=True, slots=True)
class Known:
    """What an earlier run read: the hash and size of its NAR, the *fingerprint* that it had, and when it was read."""

    nar_hash: str
    nar_size: int
    fingerprint: bytes
    entries: int
    read_at: int


@dataclass(frozen=True, slots=True)
class PathTask:
    """One path to look at. *ca* names only the method: the digest is computed from the bytes (pitfall P12).

    *owner* None leaves metadata alone. *limit* is how many bytes its NAR may have, by whoever speaks for the path:
    reading stops there, for a sparse file of terabytes would never end. *candidates* are hash parts to look for in the
    bytes, which are read once more for that. *remember* asks for the fingerprint, too. *doubted* says that nobody
    vouches for *limit*: then no more is read than what lies on the disk allows (`ec_verify.scan.sparse`). What is
    *known* and has that fingerprint still is not read.
    """

    path: str
    physical: str
    store_dir: str
    ca: str | None = None
    references: tuple[str, ...] = ()
    owner: Owner | None = None
    size: int = 0
    limit: int = sys.maxsize
    candidates: frozenset[str] | None = None
    remember: bool = False
    known: Known | None = None
    doubted: bool = False


@dataclass(frozen=True, slots=True)
class PathObservation:
    """What was seen of one store path; no judgement.

    *nar_hash* is an SRI hash, None when the path could not be read, *problem* then says why.
    *deserved* is the store path that the bytes deserve by the method of their content address; None when none was
    asked for, or when such an address cannot name them, which *detail* then explains. *occurring* are the hash parts
    that occur in the bytes, of those that were asked for; None when none were. *as_at* (seconds since 1970) says when
    the bytes were read, if not now. When, and the *fingerprint* of what was read, make no other observation.
    """

    path: str
    nar_hash: str | None = None
    nar_size: int = 0
    anomalies: tuple[Anomaly, ...] = ()
    deserved: str | None = None
    problem: Literal["missing", "unreadable", "changed", "unarchivable", "oversized"] | None = None
    detail: str = ""
    occurring: frozenset[str] | None = None
    as_at: int | None = field(default=None, compare=False)
    fingerprint: Fingerprint | None = field(default=None, compare=False)


def look(task: PathTask) -> PathObservation:
    """Read one store path once. Never raises for what lies on the disk: that is an observation."""
    unchanged = _unchanged(task, task.known) if task.known is not None else None
    return unchanged or _read(task)


def _read(task: PathTask) -> PathObservation:
    root = Path(task.physical)
    anomalies: list[Anomaly] = []
    inspect = inspector(task.owner, anomalies) if task.owner else None
    gatherer = Gatherer() if task.remember else None
    if gatherer is not None:
        inspect = gatherer.beside(inspect)
    if task.doubted:
        inspect = bounded(inspect, task.limit)
    try:
        root.lstat()
    except FileNotFoundError:
        return PathObservation(task.path, problem="missing", detail="not in the store directory")
    except OSError as error:
        return PathObservation(task.path, problem="unreadable", detail=printable(str(error)))
    problem: Literal["changed", "unarchivable", "oversized", "unreadable"]
    try:
        seen = hash_path(root, inspect, limit=task.limit)
        deserved, detail = (None, "") if task.ca is None else _deserved(task, task.ca, root, seen.hash)
        occurring = None if task.candidates is None else _occurring(root, task.candidates, task.limit)
    except TreeChangedError as error:
        problem, detail = "changed", str(error)
    except UnsupportedFileError as error:
        problem, detail = "unarchivable", str(error)
    except TreeTooLargeError:
        problem, detail = "oversized", f"more than {task.limit} bytes as an archive"
    except EcError as error:
        problem, detail = "unreadable", str(error)
    else:
        return PathObservation(
            task.path,
            seen.hash.sri,
            seen.size,
            tuple(anomalies),
            deserved,
            detail=printable(detail),
            occurring=occurring,
            fingerprint=gatherer.finish() if gatherer is not None else None,
        )
    return PathObservation(task.path, problem=problem, detail=printable(detail), anomalies=tuple(anomalies))


def _occurring(root: Path, candidates: frozenset[str], limit: int) -> frozenset[str]:
    scanner = ReferenceScanner(candidates)
    dump(root, scanner.update, limit=limit)
    return scanner.finish()


def _unchanged(task: PathTask, known: Known) -> PathObservation | None:
    """Return what is *known*, if nothing was written to the path since; else it must be read."""
    seen = fingerprint(task.physical)
    if seen is None or seen.digest != known.fingerprint:
        return None
    return PathObservation(
        task.path,
        known.nar_hash,
        known.nar_size,
        deserved=task.path if task.ca is not None else None,
        as_at=known.read_at,
    )


def _deserved(task: PathTask, ca: str, root: Path, seen: Hash) -> tuple[str | None, str]:
    """Return the store path that the bytes deserve, or None and why an address of that kind cannot name them.

    That is a fact about the path, not a failure to read it: bytes that were replaced need not be of the old kind.
    """
    try:
        address = ContentAddress.parse(ca)
        name = StorePath.parse(task.path, task.store_dir).name
        others = tuple(reference for reference in task.references if reference != task.path)
        if address.method == "recursive" and address.hash.algorithm == "sha256" and len(others) == len(task.references):
            # The NAR hash just computed is the content hash: no second read.
            return store_path_of(ContentAddress("recursive", seen), name, others, store_dir=task.store_dir), ""
        if address.method != "recursive" and not _is_file(root):
            return None, f"a {address.method} content address is that of a file, which this is not"
        return recompute(root, address, name, task.references, task.store_dir, own_path=task.path), ""
    except BadInputError as error:
        return None, str(error)


def _is_file(root: Path) -> bool:
    try:
        return stat.S_ISREG(root.lstat().st_mode)
    except OSError as error:
        raise from_os_error(error, str(root), listed=True) from error
