"""Which altered file it is that several altered paths share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ec_closure import nix32
from ec_closure.nar.hash import hash_path
from ec_verify.location import StoreLocation
from ec_verify.scan import shared
from ec_verify.scan.path import PathObservation
from ec_verify.scan.shared import altered_links

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ec_verify.conftest import Names

    from ec_closure.manifest import Manifest


class Store:
    """A store of paths with one file each in a directory, hard links as Nix makes them, and what was seen of them."""

    def __init__(self, root: Path, names: type[Names]) -> None:
        self.location = StoreLocation(root)
        self.location.store.mkdir(parents=True)
        self.links = self.location.store / ".links"
        self.links.mkdir()
        self.paths = {name: names.store_path(name) for name in ("tool", "library", "editor")}
        for path in self.paths.values():
            (self.location.physical(path) / "deep").mkdir(parents=True)
        records = [names.record(path) for path in self.paths.values()]
        self.manifests: tuple[Manifest, ...] = (names.manifest_of(records, system=self.paths["tool"]),)
        self.seen = {path: PathObservation(path, names.sri("evil"), 1) for path in self.paths.values()}

    def file(self, name: str) -> Path:
        """Return the file of the path called *name*."""
        return self.location.physical(self.paths[name]) / "deep" / "file"

    def link(self, *names: str, content: bytes = b"content") -> str:
        """Let the paths share one file, and return its name in `.links`."""
        file = self.file(names[0])
        file.write_bytes(content)
        name = nix32.encode(hash_path(file).hash.digest)
        os.link(file, self.links / name)
        for other in names[1:]:
            os.link(file, self.file(other))
        return name

    def ask(self) -> dict[str, tuple[str, ...]]:
        """Ask which files were altered."""
        return altered_links(self.location, self.manifests, self.seen)


@pytest.fixture
def store(tmp_path: Path, names: type[Names]) -> Store:
    """Give a store in which every path was seen to be altered."""
    return Store(tmp_path, names)


def test_the_altered_file_is_named_for_those_who_share_it(store: Store) -> None:
    """By what its own name promises."""
    name = store.link("tool", "library")
    store.link("editor", content=b"other")
    store.file("tool").write_bytes(b"altered")

    assert {store.paths["tool"]: (name,), store.paths["library"]: (name,)} == store.ask()


def test_a_file_that_is_as_its_name_says_explains_nothing(store: Store) -> None:
    """Altered paths share many a file; only one that was altered is a cause."""
    store.link("tool", "library")

    assert {} == store.ask()


def test_what_one_altered_path_has_alone_is_not_shared(store: Store, names: type[Names]) -> None:
    """The others hold it, too, and are as signed: then it is not this file."""
    store.link("tool", "library")
    store.file("tool").write_bytes(b"altered")
    for name in ("library", "editor"):
        store.seen[store.paths[name]] = PathObservation(store.paths[name], names.sri(store.paths[name]), 1)

    assert {} == store.ask()


def test_a_store_that_was_never_optimised_shares_nothing(store: Store) -> None:
    """No `.links`, no entries, no path at all."""
    store.links.rmdir()
    assert {} == store.ask()

    for name in ("tool", "library"):
        store.file(name).write_bytes(b"x")
    store.file("editor").parent.rmdir()
    assert {} == store.ask()


def test_what_cannot_be_read_is_left_out(store: Store) -> None:
    """A link in the place of a directory is not followed, and a link in the place of `.links` is none of it."""
    store.link("tool", "library")
    store.file("tool").write_bytes(b"altered")
    (link,) = store.links.iterdir()
    link.unlink()
    link.symlink_to("/dev/zero")

    assert {} == store.ask()


def test_looking_has_an_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hostile tree is not walked for ever."""
    store.link("tool", "library")
    store.file("tool").write_bytes(b"altered")
    monkeypatch.setattr(shared, "_MAX_ENTRIES", 1)

    assert {} == store.ask()
