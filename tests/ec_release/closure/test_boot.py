"""Boot files and specialisations of a system."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from ec_release.closure.boot import boot_files, specialisations
from ec_release.closure.errors import DamagedStoreError
from ec_release.closure.location import Location

if TYPE_CHECKING:
    from pathlib import Path

_SYSTEM = f"/nix/store/{'0' * 32}-system"
_KERNEL = f"/nix/store/{'1' * 32}-kernel"


@pytest.fixture
def location(tmp_path: Path) -> Location:
    """Give a store with an empty system and a kernel."""
    location = Location(tmp_path)
    location.physical(_SYSTEM).mkdir(parents=True)
    location.physical(_KERNEL).mkdir()
    (location.physical(_KERNEL) / "image").write_bytes(b"kernel")
    return location


def test_boot_file_is_described_where_its_bytes_are(location: Location) -> None:
    """Named by its path in the system, hashed and placed where the link leads."""
    (location.physical(_SYSTEM) / "kernel").symlink_to(f"{_KERNEL}/image")
    (found,) = boot_files(location, _SYSTEM, {})

    assert ("kernel", _KERNEL, 6) == (found.name, found.store_path, found.size)
    assert hashlib.sha256(b"kernel").hexdigest() == found.sha256


def test_system_without_a_kernel_has_no_boot_files(location: Location) -> None:
    """A container boots nothing."""
    assert () == boot_files(location, _SYSTEM, {})


def test_boot_file_outside_the_store_is_refused(location: Location) -> None:
    """Nothing signed could speak for it."""
    (location.root / "boot").write_bytes(b"kernel")
    (location.physical(_SYSTEM) / "kernel").symlink_to("/boot")

    with pytest.raises(DamagedStoreError, match="leads out of the store, to /boot"):
        boot_files(location, _SYSTEM, {})


def test_specialisation_must_be_a_store_path(location: Location) -> None:
    """A directory inside the system is no system."""
    (location.physical(_SYSTEM) / "specialisation" / "odd").mkdir(parents=True)

    with pytest.raises(DamagedStoreError, match="which is no store path"):
        specialisations(location, _SYSTEM)


def test_specialisations_are_found_by_name(location: Location) -> None:
    """Each leads to another system."""
    (location.physical(_SYSTEM) / "specialisation").mkdir()
    (location.physical(_SYSTEM) / "specialisation" / "other").symlink_to(_KERNEL)

    assert {"other": _KERNEL} == specialisations(location, _SYSTEM)
