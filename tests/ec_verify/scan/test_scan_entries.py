"""What lies in the store directory without a row."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ec_verify.scan.entries import Entry, unknown_entries

if TYPE_CHECKING:
    from pathlib import Path

HASH = "0" * 32


def statuses(store: Path) -> dict[str, str]:
    """Return what is unknown in *store*."""
    return {entry.name: entry.status for entry in unknown_entries(store, set())}


def test_known_names_are_passed_over_and_the_rest_is_sorted(tmp_path: Path) -> None:
    """Only what nobody registered is told."""
    for name in ("b", "a", "known"):
        (tmp_path / name).write_bytes(b"")

    assert [Entry("a", "extra"), Entry("b", "extra")] == unknown_entries(tmp_path, {"known"})


@pytest.mark.parametrize(
    "name",
    [
        f"{HASH}-evil",
        "evil",
        ".hidden",
        "...",
        f"{HASH}-evil.lock2",
        "-rf",
        "lost+found",
        ".tmp-1-x",
        f"{HASH[:31]}-short.lock",
        "trash2",
        "nix-1-2-3",
    ],
)
def test_what_nobody_registered_is_extra(tmp_path: Path, name: str) -> None:
    """Whatever it is called."""
    (tmp_path / name).write_bytes(b"")

    assert {name: "extra"} == statuses(tmp_path)


def test_an_empty_lock_is_work_under_way_and_a_full_one_is_not(tmp_path: Path) -> None:
    """A lock holds nothing: what holds bytes only calls itself so."""
    (tmp_path / f"{HASH}-a.lock").write_bytes(b"")
    (tmp_path / f"{HASH}-b.lock").write_bytes(b"a back door")
    (tmp_path / f"{HASH}-c.lock").mkdir()
    (tmp_path / f"{HASH}-d.lock").symlink_to("/etc/shadow")
    (tmp_path / f"{HASH}-e.lock\n").write_bytes(b"a back door")

    assert ["in flight", "extra", "extra", "extra", "extra"] == list(statuses(tmp_path).values())


@pytest.mark.parametrize("name", [".tmp-12-3", "tmp-12-0", "nix-12-0", f"{HASH}-a.drv.chroot", "trash"])
def test_directories_of_work_under_way_are_directories(tmp_path: Path, name: str) -> None:
    """A program cannot call itself a temporary directory."""
    (tmp_path / name).mkdir()
    assert {name: "in flight"} == statuses(tmp_path)

    (tmp_path / name).rmdir()
    (tmp_path / name).write_bytes(b"a back door")
    assert {name: "extra"} == statuses(tmp_path)


def test_links_of_optimised_stores_are_a_directory(tmp_path: Path) -> None:
    """`.links` holds hard links to what is hashed anyway; a file of that name is no such thing."""
    (tmp_path / ".links").mkdir()
    assert {} == statuses(tmp_path)

    (tmp_path / ".links").rmdir()
    (tmp_path / ".links").symlink_to("elsewhere")
    assert {".links": "extra"} == statuses(tmp_path)


def test_names_that_are_no_utf_8_are_kept(tmp_path: Path) -> None:
    """A name that cannot be decoded is still a name that nobody registered."""
    name = os.fsdecode(b"\xff\x1b[2K")
    (tmp_path / name).write_bytes(b"")

    assert {name: "extra"} == statuses(tmp_path)


def test_a_lock_that_goes_while_it_is_looked_at_is_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds end while the store is listed."""
    (tmp_path / f"{HASH}-a.lock").write_bytes(b"")
    (tmp_path / "evil").write_bytes(b"")
    listed = [tmp_path / f"{HASH}-a.lock", tmp_path / "evil"]
    listed[0].unlink()
    monkeypatch.setattr("pathlib.Path.iterdir", lambda _self: iter(listed))

    assert {"evil": "extra"} == statuses(tmp_path)


def test_the_registration_of_an_image_is_known_and_a_program_of_that_name_is_not(tmp_path: Path) -> None:
    """Netboot and ISO images keep the rows that are loaded at boot beside their store paths."""
    file = tmp_path / "nix-path-registration"
    file.write_bytes(b"rows")
    file.chmod(0o444)
    assert {} == statuses(tmp_path)

    file.chmod(0o555)
    assert {file.name: "extra"} == statuses(tmp_path)
    file.unlink()
    file.symlink_to("/etc/shadow")
    assert {file.name: "extra"} == statuses(tmp_path)
