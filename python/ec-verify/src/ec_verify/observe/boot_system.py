"""What a system in the store would have a boot loader start."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ec_closure import strict_json
from ec_closure.errors import BadInputError
from ec_closure.files import open_regular
from ec_verify.observe.boot_files import MAX_FILE, hashed
from ec_verify.observe.kernel import parameters
from ec_verify.observe.places import read
from ec_verify.observe.running import follow

if TYPE_CHECKING:
    from ec_verify.observe.places import HostPlaces

_MAX_BOOTSPEC = 8 << 20
_SPECIFICATION = "org.nixos.bootspec.v1"
_EXTRA = "org.nixos.extra-initrd.v1"


@dataclass(frozen=True)
class StoredFile:
    """The kernel or the initial RAM disk of a system: the logical path that the toplevel's link ends in."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class BootSystem:
    """A toplevel: *present* in the store or not.

    *parameters* are the kernel's, None when it does not say. *secrets* tells whether secrets of the machine are
    appended to the copy of its initial RAM disk; *extra* are initial RAM disks of the boot partition that its
    bootspec names.
    """

    path: str
    present: bool
    parameters: tuple[str, ...] | None = None
    kernel: StoredFile | None = None
    initrd: StoredFile | None = None
    secrets: bool = False
    extra: tuple[str, ...] = ()

    @property
    def sizes(self) -> frozenset[int]:
        """The sizes of its boot files."""
        return frozenset(one.size for one in (self.kernel, self.initrd) if one is not None)


def look_at_system(places: HostPlaces, system: str) -> BootSystem:
    """Look at the toplevel *system*. What it does not have, and what cannot be read, stays None."""
    if not os.path.lexists(places.physical(system)):
        return BootSystem(system, present=False)
    specification = bootspec(places, system)
    main = specification.get(_SPECIFICATION)
    more = specification.get(_EXTRA)
    extra = more.get("paths") if isinstance(more, dict) else None
    appends = os.path.lexists(places.physical(f"{system}/append-initrd-secrets"))
    return BootSystem(
        path=system,
        present=True,
        parameters=parameters(places, system),
        kernel=_stored(places, f"{system}/kernel"),
        initrd=_stored(places, f"{system}/initrd"),
        secrets=appends or (isinstance(main, dict) and bool(main.get("initrdSecrets"))),
        extra=tuple(one for one in extra if isinstance(one, str)) if isinstance(extra, list) else (),
    )


def bootspec(places: HostPlaces, system: str) -> dict[str, Any]:
    """Return the system's boot.json; empty where there is none that can be read. See RFC 125 of NixOS."""
    path = follow(places.location, f"{system}/boot.json") or f"{system}/boot.json"
    try:
        found = strict_json.decode(
            read(places.physical(path), _MAX_BOOTSPEC), dict[str, Any], what="boot.json", max_bytes=_MAX_BOOTSPEC
        )
    except (OSError, BadInputError):
        return {}
    return found


def _stored(places: HostPlaces, link: str) -> StoredFile | None:
    path = follow(places.location, link)
    if path is None:
        return None
    try:
        with open_regular(places.physical(path)) as file:
            size = os.fstat(file.fileno()).st_size
            return StoredFile(path, size, hashed(file, size, frozenset())[0]) if size <= MAX_FILE else None
    except OSError:
        return None
