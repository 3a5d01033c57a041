from __future__ import annotations

import hashlib
from pathlib import PurePath
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure.store_path import STORE_DIR, StorePath, StorePathError, make_store_path

if TYPE_CHECKING:
    from tests.conftest import NixStore

HASH_PART = "7zppdzywqpblqpqkznafbink14zmsrr7"
NAME_CHARACTERS = "abcXYZ019+-._?="


@given(st.text(NAME_CHARACTERS, min_size=1, max_size=211))
def test_a_full_path_reads_back(name: str) -> None:
    """Every allowed name survives parsing and printing."""
    path = f"/nix/store/{HASH_PART}-{name}"

    assert StorePath(HASH_PART, name) == StorePath.parse(path)
    assert path == StorePath.parse(path).within()


@given(st.text(max_size=80))
def test_any_text_is_a_store_path_or_a_typed_error(text: str) -> None:
    """Strangers' text never raises anything but `StorePathError`, and what is accepted prints as it was."""
    for candidate in (text, f"{STORE_DIR}/{text}", f"{STORE_DIR}/{HASH_PART}-{text}"):
        try:
            path = StorePath.parse(candidate)
        except StorePathError:
            continue
        assert candidate == path.within()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        f"{HASH_PART}-x",
        f"/nix/store/{HASH_PART}",
        f"/nix/store/{HASH_PART}-",
        f"/nix/store/{HASH_PART}-x/",
        f"/nix/store/{HASH_PART}-x/bin",
        f"/nix/store//{HASH_PART}-x",
        f"/nix/store/../store/{HASH_PART}-x",
        f"/gnu/store/{HASH_PART}-x",
        f"nix/store/{HASH_PART}-x",
        f"/nix/store/{HASH_PART[:-1]}-x",
        f"/nix/store/{HASH_PART}0-x",
        f"/nix/store/{HASH_PART[:-1]}e-x",
        f"/nix/store/{HASH_PART.upper()}-x",
        f"/nix/store/{HASH_PART}-x y",
        f"/nix/store/{HASH_PART}-x\n",
        f"/nix/store/{HASH_PART}-x\0",
        f"/nix/store/{HASH_PART}-é",
        f"/nix/store/{HASH_PART}-" + "x" * 212,
        f"/nix/store/.links/{HASH_PART}-x",
    ],
)
def test_what_is_no_store_path_is_refused(text: str) -> None:
    """Other stores, paths below a path, and names that lead elsewhere are not taken for store paths."""
    with pytest.raises(StorePathError):
        StorePath.parse(text)


def test_another_store_directory_is_read_when_named() -> None:
    """The logical store directory is the caller's, and part of what is checked."""
    path = StorePath.parse(f"/gnu/store/{HASH_PART}-x", "/gnu/store")

    assert f"/mnt/store/{HASH_PART}-x" == path.within("/mnt/store")


def test_paths_sort_by_hash_part_and_compare_as_values() -> None:
    """Sorting store paths sorts their texts, as Nix does for references."""
    paths = [StorePath("1" * 32, "b"), StorePath("0" * 32, "z"), StorePath("1" * 32, "a")]

    assert sorted(map(str, paths)) == list(map(str, sorted(paths)))
    assert {StorePath("0" * 32, "z")} == {paths[1], StorePath.parse_base("0" * 32 + "-z")}


def test_a_derivation_is_known_by_its_name() -> None:
    """Only the suffix counts."""
    assert StorePath(HASH_PART, "x.drv").is_derivation
    assert not StorePath(HASH_PART, "x.drv.txt").is_derivation


def test_a_path_is_made_of_nothing_but_a_sha256() -> None:
    """A digest of another length is a mistake of the caller."""
    with pytest.raises(StorePathError, match="SHA-256"):
        make_store_path("output:out", bytes(20), "x")
    with pytest.raises(StorePathError, match="name"):
        make_store_path("output:out", bytes(32), "a/b")


@pytest.mark.nix
@pytest.mark.parametrize("name", [".hidden", "a?b=c+d", "x" * 211])
def test_names_that_every_nix_accepts_are_accepted(nix_store: NixStore, name: str) -> None:
    """The path is the one that it makes."""
    theirs = nix_store.run("nix-instantiate", "--eval", "-E", f'builtins.toFile "{name}" "hi"').strip('"')

    assert name == StorePath.parse(theirs, nix_store.store_dir).name
    assert theirs == make_store_path("text", hashlib.sha256(b"hi").digest(), name, nix_store.store_dir)


@pytest.mark.nix
@pytest.mark.parametrize("name", [".", "..", ".-x", "..-x"])
def test_names_that_only_old_nix_accepts_are_accepted(nix_store: NixStore, name: str) -> None:
    """Newer Nix refuses leading dots, but stores still hold what older made; the path is the one that both compute."""
    done = nix_store.attempt("nix-instantiate", "--eval", "-E", f'builtins.toFile "{name}" "hi"')
    said = done.stderr.decode() if done.returncode else done.stdout.decode()
    ours = make_store_path("text", hashlib.sha256(b"hi").digest(), name, nix_store.store_dir)

    assert name == StorePath.parse(ours, nix_store.store_dir).name
    # Who refuses the name says for which path.
    assert PurePath(ours).name in said
    assert (f"name '{name}' is not valid" in said) == bool(done.returncode)


@pytest.mark.nix
@pytest.mark.parametrize("name", ["", "a b", "a/b", "é", "a,b", "x" * 212])
def test_names_that_nix_refuses_are_refused(nix_store: NixStore, name: str) -> None:
    """What no Nix could have made is not a store path here either."""
    assert nix_store.attempt("nix-instantiate", "--eval", "-E", f'builtins.toFile "{name}" "hi"').returncode
    with pytest.raises(StorePathError):
        StorePath(HASH_PART, name)
