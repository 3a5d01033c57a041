"""The store directory itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ec_verify.scan.directory import inspect_store
from ec_verify.scan.metadata import Owner
from ec_verify.scan.oddity import Oddity

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Give an empty store directory."""
    (tmp_path / "store").mkdir(mode=0o755)
    return tmp_path / "store"


@pytest.mark.parametrize("mode", [0o755, 0o1775, 0o555, 0o1755, 0o700])
def test_modes_that_installations_make_are_good(store: Path, mode: int) -> None:
    """With build users and without, read-only or private."""
    store.chmod(mode)

    assert [] == inspect_store(store)[1]


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775, 0o757, 0o4755, 0o2755, 0o3775])
def test_a_directory_that_others_may_write_to_is_odd(store: Path, mode: int) -> None:
    """Whoever can rename a store path needs not alter it."""
    store.chmod(mode)

    assert [Oddity("mode", "", f"mode {mode:04o}")] == inspect_store(store)[1]


def test_a_directory_with_attributes_is_odd(store: Path) -> None:
    """An ACL gives rights that no mode shows."""
    os.setxattr(store, "user.x", b"1")

    assert [Oddity("xattr", "", "user.x")] == inspect_store(store)[1]


@pytest.mark.root
def test_a_directory_that_a_stranger_owns_does_not_say_who_owns_the_rest(store: Path) -> None:
    """Giving the whole store away, directory and all, must not look like a store of that user."""
    os.chown(store, 1000, 1000)

    owner, oddities = inspect_store(store)

    assert (Owner(os.geteuid(), (os.getegid(),)), [Oddity("owner", "", f"owner 1000, not {os.geteuid()}")]) == (
        owner, oddities
    )  # fmt: skip


def test_a_store_of_our_own_is_ours(store: Path) -> None:
    """Whoever runs this may have a store."""
    assert os.geteuid() == inspect_store(store)[0].uid
