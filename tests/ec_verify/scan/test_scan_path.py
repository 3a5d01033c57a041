"""Looking at one store path: what can be wrong with it, and what its bytes deserve to be called."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ec_closure.content_address import ContentAddress, store_path_of
from ec_closure.hashes import Hash
from ec_closure.nar.dump import dump
from ec_closure.nar.hash import hash_path
from ec_closure.nar.modulo import ModuloHasher
from ec_verify.scan import path as paths
from ec_verify.scan.path import PathTask, look

if TYPE_CHECKING:
    from pathlib import Path

    from ec_closure.content_address import Method
    from ec_closure.nar.inspect import Inspector

STORE = "/nix/store"
OTHER = f"{STORE}/{'1' * 32}-other"


def task(path: Path, name: str | None = None, *, ca: str | None = None, references: tuple[str, ...] = ()) -> PathTask:
    """Return the task of looking at *path* as the store path *name*."""
    return PathTask(
        path=name or f"{STORE}/{'0' * 32}-thing",
        physical=str(path),
        store_dir=STORE,
        ca=ca,
        references=references,
    )


def test_a_path_that_is_not_there_is_missing(tmp_path: Path) -> None:
    """Absence is an observation, not an error."""
    assert ("missing", None) == (look(task(tmp_path / "none")).problem, look(task(tmp_path / "none")).nar_hash)


def test_a_dangling_link_is_a_path_like_any_other(tmp_path: Path) -> None:
    """A store path may be a symlink; it is hashed, not followed."""
    (tmp_path / "link").symlink_to("nowhere")

    seen = look(task(tmp_path / "link"))

    assert (None, hash_path(tmp_path / "link").hash.sri) == (seen.problem, seen.nar_hash)


@pytest.mark.parametrize("where", ["root", "inside"])
@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_what_no_archive_can_hold_is_unarchivable(tmp_path: Path, kind: str, where: str) -> None:
    """Nix never made such a path: it was altered, and looking at it does not hang."""
    (tmp_path / "tree").mkdir()
    place = tmp_path / "tree" / "odd" if where == "inside" else tmp_path / "odd"
    if kind == "fifo":
        os.mkfifo(place)
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(place))

    seen = look(task(tmp_path / "tree" if where == "inside" else place))

    assert ("unarchivable", True) == (seen.problem, str(place) in seen.detail)


def test_a_tree_that_changes_while_it_is_read_is_said_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of one state and half of another is no state: no hash comes out."""
    (tmp_path / "tree").mkdir()
    for name in ("a", "b"):
        (tmp_path / "tree" / name).write_bytes(b"before")

    def meddle(root: Path, inspect: Inspector | None = None, *, limit: int) -> object:
        def inspector(relative: bytes, *_: object) -> None:
            if relative == b"b":
                (root / "c").write_bytes(b"after")

        return hash_path(root, inspector if inspect is None else inspect, limit=limit)

    monkeypatch.setattr(paths, "hash_path", meddle)

    seen = look(task(tmp_path / "tree"))

    assert ("changed", None) == (seen.problem, seen.nar_hash)


def test_more_than_was_signed_is_not_read(tmp_path: Path) -> None:
    """A sparse file of terabytes must not keep the run busy for hours: that it is larger is all there is to know."""
    file = tmp_path / "file"
    file.write_bytes(b"as it was signed")
    good = look(task(file))
    file.write_bytes(b"as it was signed, and then some")

    seen = look(replace(task(file), limit=good.nar_size))
    assert ("oversized", None, 0) == (seen.problem, seen.nar_hash, seen.nar_size)
    assert f"more than {good.nar_size} bytes as an archive" == seen.detail

    os.truncate(file, 8 << 40)
    assert "oversized" == look(replace(task(file), limit=good.nar_size)).problem


def test_just_what_was_signed_is_read(tmp_path: Path) -> None:
    """The limit is the size itself, not one below."""
    (tmp_path / "file").write_bytes(b"as it was signed")
    size = hash_path(tmp_path / "file").size

    assert None is look(replace(task(tmp_path / "file"), limit=size)).problem


def test_a_path_behind_a_file_is_unreadable(tmp_path: Path) -> None:
    """The store directory itself may be broken: told with the system's words."""
    (tmp_path / "file").write_bytes(b"")

    seen = look(task(tmp_path / "file" / "thing"))

    assert ("unreadable", True) == (seen.problem, "Not a directory" in seen.detail)


def test_what_may_not_be_read_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing rights and broken disks are told with the place and the system's words."""
    (tmp_path / "file").write_bytes(b"bytes")

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ec_closure.nar.dump.os.open", refuse)

    seen = look(task(tmp_path / "file"))

    assert ("unreadable", f"{tmp_path}/file: permission denied") == (seen.problem, seen.detail)


def test_places_in_what_is_told_are_printable(tmp_path: Path) -> None:
    """A name with an escape sequence ends up in logs and reports as text."""
    (tmp_path / "tree").mkdir()
    os.mkfifo(tmp_path / "tree" / os.fsdecode(b"\x1b[31m\xff"))

    assert look(task(tmp_path / "tree")).detail.isprintable()


@pytest.mark.parametrize(
    ("method", "algorithm"),
    [("text", "sha256"), ("flat", "sha256"), ("flat", "sha1"), ("recursive", "sha256"), ("recursive", "sha1")],
)
def test_content_addresses_are_recomputed_from_the_bytes(tmp_path: Path, method: Method, algorithm: str) -> None:
    """Of the declared address only the method counts: a forged digest changes nothing."""
    file = tmp_path / "file"
    file.write_bytes(b"the bytes\n")
    digest = hash_path(file, algorithm=algorithm).hash if method == "recursive" else Hash.of(algorithm, b"the bytes\n")
    references = (OTHER,) if method == "text" else ()
    address = ContentAddress(method, digest)
    own = store_path_of(address, "thing", references)
    forged = ContentAddress(address.method, Hash(algorithm, bytes(len(digest.digest)))).render()

    assert own == look(task(file, own, ca=forged, references=references)).deserved

    file.write_bytes(b"other bytes\n")
    assert own != look(task(file, own, ca=address.render(), references=references)).deserved


def test_a_tree_that_refers_to_itself_is_recomputed_without_its_own_name(tmp_path: Path) -> None:
    """The hash of a self-referring path is taken with its own name blanked out."""
    tree = tmp_path / "tree"
    tree.mkdir()
    blank = "0" * 32
    (tree / "self").write_text(f"{STORE}/{blank}-thing/bin")
    hasher = ModuloHasher(blank)
    dump(tree, hasher.update)
    address = ContentAddress("recursive", hasher.finish()[0])
    own = store_path_of(address, "thing", self_reference=True)
    (tree / "self").write_text(f"{own}/bin")

    assert own == look(task(tree, own, ca=address.render(), references=(own,))).deserved

    (tree / "self").write_text(f"{own}/sbin")
    assert own != look(task(tree, own, ca=address.render(), references=(own,))).deserved


@pytest.mark.parametrize("kind", ["directory", "link"])
@pytest.mark.parametrize("ca", ["text:sha256:", "fixed:sha256:"])
def test_a_file_that_became_something_else_deserves_no_name(tmp_path: Path, ca: str, kind: str) -> None:
    """Its bytes are read and hashed all the same: that they changed must not look like a disk error."""
    odd = tmp_path / "odd"
    if kind == "directory":
        odd.mkdir()
    else:
        odd.symlink_to("/etc/passwd")

    seen = look(task(odd, ca=ca + "0" * 64))

    assert (None, None, hash_path(odd).hash.sri) == (seen.problem, seen.deserved, seen.nar_hash)
    assert "is that of a file, which this is not" in seen.detail


@pytest.mark.parametrize(
    ("ca", "references", "said"),
    [
        ("nonsense", (), "neither text: nor fixed:"),
        ("fixed:git:sha1:" + "0" * 40, (), "fixed:git"),
        ("text:sha1:" + "0" * 40, (), "text is addressed by sha256"),
        ("fixed:sha1:" + "0" * 40, (OTHER,), "cannot have references"),
        ("fixed:sha256:" + "0" * 64, ("/elsewhere/x",), "not a path directly below"),
    ],
)
def test_an_address_that_makes_no_sense_is_told_and_hides_no_hash(
    tmp_path: Path, ca: str, references: tuple[str, ...], said: str
) -> None:
    """The database's `ca` is text that anybody with root can write."""
    (tmp_path / "file").write_bytes(b"bytes")

    seen = look(task(tmp_path / "file", ca=ca, references=references))

    assert (None, None, hash_path(tmp_path / "file").hash.sri) == (seen.problem, seen.deserved, seen.nar_hash)
    assert said in seen.detail


def test_a_path_that_vanishes_before_its_address_is_taken_is_changing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two looks somebody may remove it."""
    file = tmp_path / "file"
    file.write_bytes(b"bytes")

    def remove(root: Path, inspect: Inspector | None = None, *, limit: int) -> object:
        seen = hash_path(root, inspect, limit=limit)
        root.unlink()
        return seen

    monkeypatch.setattr(paths, "hash_path", remove)

    assert "changed" == look(task(file, ca="text:sha256:" + "0" * 64)).problem
