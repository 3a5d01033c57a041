"""The files that firmware and boot loaders read: the kernel and the initial RAM disk of a system."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from ec_closure.manifest import BootFile
from ec_closure.store_path import STORE_DIR
from ec_release.closure.errors import DamagedStoreError
from ec_release.closure.links import resolve

if TYPE_CHECKING:
    from ec_release.closure.location import Location

_NAMES = ("initrd", "kernel")


def boot_files(location: Location, toplevel: str, specialisations: dict[str, str]) -> tuple[BootFile, ...]:
    """Return the boot files of the system and its specialisations, by their paths inside the toplevel.

    A system without a kernel (a container) has none.
    """
    systems = {"": toplevel, **{f"specialisation/{name}/": path for name, path in specialisations.items()}}
    return tuple(
        _describe(location, prefix + name, f"{system}/{name}")
        for prefix, system in sorted(systems.items())
        for name in _NAMES
        if os.path.lexists(location.physical(system) / name)
    )


def specialisations(location: Location, toplevel: str) -> dict[str, str]:
    """Return the other systems that *toplevel* offers at boot, by name."""
    directory = f"{toplevel}/specialisation"
    if not os.path.lexists(location.physical(directory)):
        return {}
    directory = resolve(location, directory)
    found = {}
    for name in sorted(os.listdir(location.physical(directory))):  # noqa: PTH208 - names only
        system = resolve(location, f"{directory}/{name}")
        if system.rpartition("/")[0] != STORE_DIR:
            raise DamagedStoreError(f"leads to {system}, which is no store path", place=f"{directory}/{name}")
        found[name] = system
    return found


def _describe(location: Location, name: str, path: str) -> BootFile:
    target = resolve(location, path)
    store_path = location.store_path_of(target)
    if store_path is None:
        raise DamagedStoreError(f"leads out of the store, to {target}", place=path)
    file = location.physical(target)
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        size = os.fstat(stream.fileno()).st_size
    return BootFile(name=name, store_path=store_path, sha256=digest, size=size)
