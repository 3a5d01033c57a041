"""Re-hashing the embedded flake and its inputs *before* anything evaluates them.

Nix takes a valid store path for the right one and reads it, whatever lies there (fact 7 of the
peers' survey): what was altered must be found first, or the altered source judges itself.
"""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

from ec_closure.content_address import source_store_path
from ec_closure.errors import BadInputError
from ec_closure.hashes import Hash
from ec_closure.store_path import StorePath
from ec_verify.model import InputCheck, Problem
from ec_verify.observe.running import store_path_behind
from ec_verify.scan.path import PathTask, look
from ec_verify.source.lockfile import MAX_BYTES, LockedInput, LockError, UnlockedError, locked_inputs

if TYPE_CHECKING:
    from ec_closure.manifest import Manifest
    from ec_verify.location import StoreLocation
    from ec_verify.scan.path import PathObservation


def check(
    location: StoreLocation, link: str, manifest: Manifest | None
) -> tuple[InputCheck | None, tuple[InputCheck, ...], tuple[Problem, ...]]:
    """Hash the flake behind *link* and the inputs its lock names.

    Returns the flake's check (None when there is no flake), those of the inputs, and what is wrong.
    Without a manifest the flake is compared with its own content address.
    """
    path = store_path_behind(location, link)
    if path is None:
        return None, (), (Problem("EV405", f"no flake is embedded at {link}"),)
    sizes = {} if manifest is None else {one.path: one.nar_size for one in (*manifest.paths, *manifest.contents)}
    seen = _look(location, path, sizes.get(path))
    flake = InputCheck("self", path, manifest.source.nar_hash if manifest else seen.nar_hash or "", seen.nar_hash)
    wrong = _wrong_flake(location, flake, seen, manifest)
    if wrong is not None:
        return flake, (), (wrong,)
    inputs = []
    problems = []
    try:
        for locked in _locked(location, path):
            look_at = _look(location, locked.store_path, sizes.get(locked.store_path))
            inputs.append(InputCheck(locked.name, locked.store_path, locked.nar_hash.sri, look_at.nar_hash))
            wrong = _wrong_input(locked, look_at)
            if wrong is not None:
                problems.append(wrong)
    except UnlockedError as error:
        problems.append(Problem("EV407", f"not everything is locked: {error}", path))
    except BadInputError as error:
        problems.append(Problem("EV405", f"the lock file cannot be used: {error}", path))
    return flake, tuple(inputs), tuple(problems)


def _wrong_flake(
    location: StoreLocation, flake: InputCheck, seen: PathObservation, manifest: Manifest | None
) -> Problem | None:
    if manifest is not None and flake.path != manifest.source.store_path:
        return Problem("EV401", f"the embedded flake is not {manifest.source.store_path}", flake.path)
    if seen.problem in ("unarchivable", "oversized"):
        return Problem("EV401", f"the embedded flake was altered: {seen.detail}", flake.path)
    if seen.nar_hash is None:
        return Problem("EV405", f"the embedded flake cannot be read: {seen.detail}", flake.path)
    if seen.nar_hash != flake.expected or not _deserves(flake.path, seen.nar_hash, location.store_dir):
        return Problem("EV401", "the embedded flake's bytes are not those that CI built from", flake.path)
    return None


def _wrong_input(locked: LockedInput, seen: PathObservation) -> Problem | None:
    what = f"the locked input {locked.name}"
    if seen.problem == "missing":
        return Problem("EV405", f"{what} is not on this node", locked.store_path)
    if seen.problem in ("unarchivable", "oversized"):
        return Problem("EV402", f"{what} was altered: {seen.detail}", locked.store_path)
    if seen.nar_hash is None:
        return Problem("EV405", f"{what} cannot be read: {seen.detail}", locked.store_path)
    if seen.nar_hash != locked.nar_hash.sri:
        return Problem("EV402", f"{what} is not what the lock file pins", locked.store_path)
    return None


def _locked(location: StoreLocation, flake: str) -> list[LockedInput]:
    """Read the flake's lock file. A link in its place would lead out of the tree that was just hashed."""
    file = location.physical(flake) / "flake.lock"
    try:
        if not stat.S_ISDIR(file.parent.lstat().st_mode):
            raise LockError("the flake is no directory", place=flake)
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise LockError(f"cannot be read: {error.strerror}", place="flake.lock") from error
    return locked_inputs(data, location.store_dir)


def _look(location: StoreLocation, path: str, signed_size: int | None) -> PathObservation:
    """Read no more of a tree than is signed, or, where nothing is, than what lies on the disk allows."""
    return look(
        PathTask(
            path=path,
            physical=str(location.physical(path)),
            store_dir=location.store_dir,
            limit=sys.maxsize if signed_size is None else signed_size,
            doubted=signed_size is None,
        )
    )


def _deserves(path: str, seen: str, store_dir: str) -> bool:
    return path == source_store_path(Hash.parse(seen), StorePath.parse(path, store_dir).name, store_dir=store_dir)
