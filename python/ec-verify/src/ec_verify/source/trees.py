"""Re-hashing the embedded flake and its inputs *before* anything evaluates them.

Nix takes a valid store path for the right one and reads it, whatever lies there (fact 7 of the
peers' survey): what was altered must be found first, or the altered source judges itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_closure.content_address import source_store_path
from ec_closure.errors import BadInputError, EcError
from ec_closure.nar.hash import hash_path
from ec_closure.store_path import StorePath
from ec_verify.model import InputCheck, Problem
from ec_verify.observe.running import store_path_behind
from ec_verify.source.lockfile import LockedInput, locked_inputs

if TYPE_CHECKING:
    from ec_closure.manifest import Manifest
    from ec_verify.location import StoreLocation


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
    seen = _hash(location, path)
    expected = manifest.source.nar_hash if manifest is not None else seen or ""
    flake = InputCheck("self", path, expected, seen)
    problems = []
    if manifest is not None and path != manifest.source.store_path:
        problems.append(Problem("EV401", f"the embedded flake is not {manifest.source.store_path}", path))
    elif seen is None:
        problems.append(Problem("EV405", "the embedded flake cannot be read", path))
    elif seen != expected or not _deserves(path, seen, location.store_dir):
        problems.append(Problem("EV401", "the embedded flake's bytes are not those that CI built from", path))
    if problems:
        return flake, (), tuple(problems)
    inputs = []
    try:
        for locked in _locked(location, path):
            found = _hash(location, locked.store_path)
            inputs.append(InputCheck(locked.name, locked.store_path, locked.nar_hash.sri, found))
            if found is None:
                problems.append(
                    Problem("EV405", f"the locked input {locked.name} is not on this node", locked.store_path)
                )
            elif found != locked.nar_hash.sri:
                problems.append(
                    Problem(
                        "EV402", f"the locked input {locked.name} is not what the lock file pins", locked.store_path
                    )
                )
    except BadInputError as error:
        problems.append(Problem("EV405", f"the lock file cannot be used: {error}", path))
    return flake, tuple(inputs), tuple(problems)


def _locked(location: StoreLocation, flake: str) -> list[LockedInput]:
    file = location.physical(flake) / "flake.lock"
    if not file.is_file():
        return []
    return locked_inputs(file.read_bytes(), location.store_dir)


def _hash(location: StoreLocation, path: str) -> str | None:
    try:
        return hash_path(location.physical(path)).hash.sri
    except (EcError, OSError):
        return None  # missing or unreadable: the caller says so, with the path


def _deserves(path: str, seen: str, store_dir: str) -> bool:
    from ec_closure.hashes import Hash

    return path == source_store_path(Hash.parse(seen), StorePath.parse(path, store_dir).name, store_dir=store_dir)
