"""What holds between the parts of a closure manifest, and which no type can say.

Rules over all paths do little per path: there may be 100,000 of them, and a node checks them on every run.
"""

from __future__ import annotations

import posixpath
from operator import lt
from typing import TYPE_CHECKING

from ec_closure.errors import BadInputError, LimitError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ec_closure.manifest import Manifest, PathRecord

MAX_PATHS = 500_000


class ManifestError(BadInputError):
    """The manifest decodes, but what it says does not hold together."""

    code = "manifest"


def check(manifest: Manifest, *, what: str = "manifest") -> None:
    """Check order, range, closedness, and that nothing is in the manifest without a reason.

    Raises `ManifestError` with the place of the first offender, `LimitError` above `MAX_PATHS`.
    Not checked: whether any of it is true.
    """
    paths, contents = manifest.paths, manifest.contents
    count = len(paths) + len(contents)
    if count > MAX_PATHS:
        raise LimitError(f"lists {count} paths where at most {MAX_PATHS} are accepted", place=what)
    store_dir = manifest.store_dir
    # POSIX lets two slashes in front mean something else, and so normpath keeps them.
    if posixpath.normpath(store_dir) != store_dir or not store_dir.startswith("/") or store_dir.startswith("//"):
        raise ManifestError(f"{store_dir!r} is no store directory", place=f"{what}: storeDir")
    _check_records(paths, len(paths), store_dir, f"{what}: paths")
    _check_records(contents, count, store_dir, f"{what}: contents")
    positions = {record.path: position for position, record in enumerate(paths)}
    for position, record in enumerate(contents):
        if record.path in positions:
            raise ManifestError(f"{record.path} is among the paths already", place=f"{what}: contents[{position}]")
    _check_closed(manifest, positions, what)
    _check_elsewhere(manifest, what)
    _check_sorted([file.name for file in manifest.boot], f"{what}: boot")
    _check_sorted([artifact.name for artifact in manifest.artifacts], f"{what}: artifacts")


def _check_records(records: Sequence[PathRecord], end: int, store_dir: str, place: str) -> None:
    names = [record.path for record in records]
    _check_sorted(names, place)
    for position, name in enumerate(names):
        if name.rpartition("/")[0] != store_dir:
            raise ManifestError(f"{name} is not in {store_dir}", place=f"{place}[{position}]")
    _check_makers(records, store_dir, place)
    _check_references(records, end, place)


def _check_sorted(names: Sequence[str], place: str) -> None:
    if all(map(lt, names, names[1:])):
        return
    wrong = next(at for at in range(1, len(names)) if names[at] <= names[at - 1])
    raise ManifestError(f"{names[wrong]} is out of order or stands twice", place=f"{place}[{wrong}]")


def _check_makers(records: Sequence[PathRecord], store_dir: str, place: str) -> None:
    for position, record in enumerate(records):
        deriver = record.deriver
        if (record.output is None) != (deriver is None):
            raise ManifestError("deriver and output go together", place=f"{place}[{position}]")
        if deriver is None:
            if record.origin == "built":
                raise ManifestError("a built path without its derivation", place=f"{place}[{position}]")
        elif not deriver.endswith(".drv") or deriver.rpartition("/")[0] != store_dir:
            raise ManifestError(f"{deriver} is no derivation in {store_dir}", place=f"{place}[{position}]: deriver")
        if (record.cache is None) != (record.origin != "substituted"):
            raise ManifestError("exactly the substituted paths name a cache", place=f"{place}[{position}]")


def _check_references(records: Sequence[PathRecord], end: int, place: str) -> None:
    for position, record in enumerate(records):
        references = record.references
        if not references:
            continue
        if references[0] < 0 or references[-1] >= end:
            raise ManifestError("a reference points outside the list", place=f"{place}[{position}]")
        if not all(map(lt, references, references[1:])):
            raise ManifestError("references are out of order", place=f"{place}[{position}]")


def _check_closed(manifest: Manifest, positions: Mapping[str, int], what: str) -> None:
    system = manifest.system
    for place, path in (
        ("system: outPath", system.out_path),
        *((f"system: specialisations: {name}", path) for name, path in system.specialisations.items()),
        *((f"boot[{position}]", file.store_path) for position, file in enumerate(manifest.boot)),
    ):
        if path not in positions:
            raise ManifestError(f"{path} is not among the paths", place=f"{what}: {place}")
    roots = {positions[root] for root in (system.out_path, *system.specialisations.values())}
    first = _first_unreached(roots, manifest.paths)
    if first is not None:
        path = manifest.paths[first].path
        raise ManifestError(f"{path} is not reachable from the system", place=f"{what}: paths[{first}]")


def _first_unreached(roots: Collection[int], paths: Sequence[PathRecord]) -> int | None:
    references = [record.references for record in paths]
    reached = bytearray(len(paths))
    stack = list(roots)
    for root in roots:
        reached[root] = 1
    while stack:
        for position in references[stack.pop()]:
            if not reached[position]:
                reached[position] = 1
                stack.append(position)
    first = reached.find(0)
    return None if first < 0 else first


def _check_elsewhere(manifest: Manifest, what: str) -> None:
    source, system = manifest.source, manifest.system
    for place, path in (
        ("source: storePath", source.store_path),
        *((f"source: inputs: {name}", entry.store_path) for name, entry in source.inputs.items()),
        ("system: drvPath", system.drv_path),
        *(
            (f"artifacts[{position}]", artifact.store_path)
            for position, artifact in enumerate(manifest.artifacts)
            if artifact.store_path is not None
        ),
    ):
        if path.rpartition("/")[0] != manifest.store_dir:
            raise ManifestError(f"{path} is not in {manifest.store_dir}", place=f"{what}: {place}")
    if not system.drv_path.endswith(".drv"):
        raise ManifestError(f"{system.drv_path} is no derivation", place=f"{what}: system: drvPath")
