"""Puts a manifest together: the numbered steps of `ec-release closure`.

1. Source: the commit, exported and added to the store, hashed by us.
2. Evaluation: of that store path, as nodes will do it.
3. Build, when asked; else the system must be there.
4. Inputs: every locked input is in the store and holds what the lock says.
5. Closure: rows from the database, bytes from the disk, makers from the derivations.
6. The manifest: canonical, so that describing a system twice gives the same bytes.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ec_closure.content_address import source_store_path
from ec_closure.errors import UsageError
from ec_closure.manifest import (
    Artifact,
    Builder,
    FlakeInput,
    Manifest,
    PathRecord,
    Release,
    Source,
    System,
)
from ec_closure.nar.hash import hash_path
from ec_closure.store_db import PathInfo, StoreDatabase
from ec_release.closure import boot, disk, graph, lock, source
from ec_release.closure.errors import DamagedStoreError, EvaluationError, NotBuiltError
from ec_release.closure.nix import Nix
from ec_release.closure.origin import origin_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ec_closure.signing import Keyring
    from ec_release.closure.graph import Graph
    from ec_release.closure.location import Location
    from ec_release.closure.lock import LockedInput
    from ec_release.closure.source import Commit


@dataclass(frozen=True)
class Wanted:
    """What is to be described. *also* are store paths that an image holds beyond the system's closure."""

    flake: Path
    attr: str
    name: str
    tag: str
    version: int
    also: tuple[str, ...] = ()
    artifacts: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Machine:
    """This machine. *options* are given to Nix, *arguments* to `nix eval`; *keys* are of caches that are believed."""

    location: Location
    keys: Keyring
    program: str = "nix"
    options: tuple[tuple[str, str], ...] = field(default=())
    arguments: tuple[str, ...] = ()


def describe(wanted: Wanted, commit: Commit, machine: Machine, *, build: bool = False) -> Manifest:
    """Describe one system. Raises what the steps raise: see the modules that carry them out."""
    location = machine.location
    with tempfile.TemporaryDirectory(prefix="ec-release-") as scratch:
        home = Path(scratch) / "home"
        home.mkdir()
        nix = Nix(machine.program, location, machine.options, home, machine.arguments)
        # 1
        tree = Path(scratch) / "source"
        source.export(wanted.flake, commit, tree)
        locked = lock.read(tree / "flake.lock")
        nar_hash = hash_path(tree).hash
        source_path = nix.add_source(tree)
        if source_path != source_store_path(nar_hash):
            raise DamagedStoreError("Nix and we disagree about the source's hash", place=source_path)
        # 2, 3
        try:
            system = nix.evaluate(source_path, wanted.attr, offline=not build)
        except EvaluationError:
            # Newer Nix refuses a damaged input at once. That is this machine's fault, not the flake's: say so.
            _check_inputs(location, locked.inputs)
            raise
        if build:
            nix.build(system.drv_path)
        settings = nix.settings()
    build_graph = graph.read(location, system.drv_path)
    with StoreDatabase.open(location.state_dir) as database:
        if database.path_info(system.out_path) is None:
            raise NotBuiltError(
                "the system was not built",
                place=system.out_path,
                hint="build it first, or give --build; if you did, an output reads the revision (self.rev)",
            )
        rows = database.closure(system.out_path)
        more = {info.path: info for path in wanted.also for info in database.closure(path)}
        # 4
        sources = [_row_of_input(database, entry) for entry in locked.inputs]
    for info in rows:
        more.pop(info.path, None)
    contents = [more[path] for path in sorted(more)]
    # 5
    disk.check(location, list({info.path: info for info in [*rows, *contents, *sources]}.values()))
    specialisations = boot.specialisations(location, system.out_path)
    positions = {info.path: position for position, info in enumerate([*rows, *contents])}
    # 6
    return Manifest(
        release=Release(tag=wanted.tag, version=wanted.version, issued=commit.issued),
        source=Source(
            nar_hash=nar_hash.sri,
            store_path=source_path,
            rev=commit.rev,
            lock_hash=locked.sha256,
            inputs={
                entry.name: FlakeInput(nar_hash=entry.nar_hash.sri, store_path=entry.store_path)
                for entry in locked.inputs
            },
        ),
        system=System(
            name=wanted.name,
            attr=wanted.attr,
            platform=system.platform,
            drv_path=system.drv_path,
            out_path=system.out_path,
            specialisations=specialisations,
        ),
        builder=Builder(nix=settings.version, sandbox=settings.sandbox, platform=settings.platform),
        paths=_records(rows, positions, build_graph, machine.keys),
        contents=_records(contents, positions, build_graph, machine.keys),
        boot=boot.boot_files(location, system.out_path, specialisations),
        artifacts=tuple(_artifact(file) for file in sorted(wanted.artifacts, key=lambda file: file.name)),
    )


def _check_inputs(location: Location, inputs: Iterable[LockedInput]) -> None:
    """Raise `DamagedStoreError` when one of the *inputs* that are there is not what the lock or the row says."""
    with StoreDatabase.open(location.state_dir) as database:
        present = [entry for entry in inputs if database.path_info(entry.store_path) is not None]
        rows = [_row_of_input(database, entry) for entry in present]
    disk.check(location, rows)


def _row_of_input(database: StoreDatabase, entry: LockedInput) -> PathInfo:
    info = database.path_info(entry.store_path)
    if info is None:
        raise NotBuiltError(
            f"the locked input {entry.name} is not in the store", place=entry.store_path, hint="nix flake archive"
        )
    if info.nar_hash != entry.nar_hash:
        raise DamagedStoreError(f"the locked input {entry.name} is not what the lock says", place=entry.store_path)
    return info


def _records(
    rows: Sequence[PathInfo], positions: dict[str, int], build_graph: Graph, keys: Keyring
) -> tuple[PathRecord, ...]:
    return tuple(_record(info, positions, build_graph, keys) for info in rows)


def _record(info: PathInfo, positions: dict[str, int], build_graph: Graph, keys: Keyring) -> PathRecord:
    origin = origin_of(info, build_graph, keys)
    return PathRecord(
        path=info.path,
        nar_hash=info.nar_hash.sri,
        nar_size=info.nar_size,
        references=tuple(sorted(positions[reference] for reference in info.references)),
        ca=info.ca,
        deriver=origin.deriver,
        output=origin.output,
        origin=origin.origin,
        cache=origin.cache,
    )


def _artifact(file: Path) -> Artifact:
    try:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            size = stream.tell()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", place=str(file)) from error
    return Artifact(name=file.name, sha256=digest, size=size)
