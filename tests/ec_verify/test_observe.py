"""Steps 2 and 3 together, on a store that may move."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from ec_closure.errors import LocalError
from ec_closure.store_db import StoreDatabase
from ec_verify import observation
from ec_verify.location import StoreLocation
from ec_verify.observation import observe
from ec_verify.observe.running import Running
from ec_verify.scan.entries import Entry
from ec_verify.scan.pool import look_at_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ec_verify.conftest import Node

    from ec_verify.model import Observation
    from ec_verify.scan.path import PathObservation, PathTask

pytestmark = pytest.mark.nix


@pytest.fixture
def see(node: Node) -> Callable[[], Observation]:
    """Give a function that observes the node."""
    running = Running(node.path("system"), None, None)
    return lambda: observe(StoreLocation(node.root), running, (node.signed.manifest,))


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Give a function that does something while the store is hashed for the first time."""

    def when_hashing(act: Callable[[], object]) -> None:
        acts = [act]

        def look(
            tasks: list[PathTask], *, advance: Callable[[int], None] = lambda _bytes: None
        ) -> dict[str, PathObservation]:
            seen = look_at_all(tasks, advance=advance)
            if acts:
                acts.pop()()
            return seen

        monkeypatch.setattr(observation, "look_at_all", look)

    return when_hashing


def test_everything_registered_and_signed_is_looked_at(node: Node, see: Callable[[], Observation]) -> None:
    """Hashes, rows and entries of a whole store; nothing is unknown."""
    seen = see()

    assert set(node.signed.paths.values()) == seen.rows.keys() == seen.paths.keys()
    assert {record.path: record.nar_hash for record in node.signed.manifest.paths} == {
        path: look.nar_hash for path, look in seen.paths.items()
    }
    assert ((), (), ()) == (seen.entries, seen.mounts, seen.problems)


def test_a_signed_path_without_a_row_is_looked_at_all_the_same(node: Node, see: Callable[[], Observation]) -> None:
    """Whoever deletes a row does not keep its bytes from being hashed."""
    node.sql("delete from Refs")
    node.sql("delete from ValidPaths where path = ?", node.path("tool"))

    seen = see()

    assert node.path("tool") not in seen.rows
    assert seen.paths[node.path("tool")].nar_hash is not None
    assert () == seen.entries


def test_how_a_path_is_addressed_is_the_manifests_word(node: Node, see: Callable[[], Observation]) -> None:
    """Deleting the database's `ca` does not free a path from deserving its name."""
    node.sql("update ValidPaths set ca = null")

    assert node.path("text") == see().paths[node.path("text")].deserved


def test_a_database_that_cannot_be_read_is_a_problem_and_not_the_end(
    node: Node, see: Callable[[], Observation]
) -> None:
    """The bytes are still held against the manifest."""
    (node.root / "nix/var/nix/db/db.sqlite").write_bytes(b"no database at all" * 1000)

    seen = see()

    assert (["EV211"], {}) == ([problem.code for problem in seen.problems], seen.rows)
    assert seen.paths[node.path("tool")].nar_hash is not None


def test_no_store_at_all_is_an_error_with_its_place(tmp_path: Path) -> None:
    """There is nothing to judge."""
    with pytest.raises(LocalError, match="no store can be read here") as caught:
        observe(StoreLocation(tmp_path), Running(None, None, None), ())

    assert (f"{tmp_path}/nix/store", True) == (caught.value.place, caught.value.hint is not None)


def test_a_path_that_is_collected_meanwhile_is_gone(
    node: Node, see: Callable[[], Observation], meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    """Row and bytes vanish together when garbage is collected: nothing is missing then."""
    hello = _register(node, "hello")

    def collect() -> None:
        node.sql("delete from ValidPaths where path = ?", hello)

    (node.root / hello.lstrip("/")).unlink()
    meanwhile(collect)

    seen = see()

    assert (False, False) == (hello in seen.rows, hello in seen.paths)


def test_a_path_that_is_removed_with_its_row_kept_is_missing(
    node: Node, see: Callable[[], Observation], meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    """Deleting the bytes alone is no garbage collection."""
    hello = _register(node, "hello")
    (node.root / hello.lstrip("/")).unlink()
    meanwhile(lambda: None)

    assert "missing" == see().paths[hello].problem


def test_a_database_that_breaks_meanwhile_excuses_no_missing_path(
    node: Node, see: Callable[[], Observation], meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    """A second look that fails must not look like a database without rows."""
    hello = _register(node, "hello")
    (node.root / hello.lstrip("/")).unlink()
    meanwhile(lambda: (node.root / "nix/var/nix/db/db.sqlite").write_bytes(b"gone" * 2000))

    seen = see()

    assert (["EV211"], "missing") == ([problem.code for problem in seen.problems], seen.paths[hello].problem)
    assert hello in seen.rows


def test_a_path_that_is_registered_meanwhile_is_looked_at(
    node: Node, see: Callable[[], Observation], meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    """A build that ends during the pass leaves a row and no unknown entry."""
    made: list[str] = []
    meanwhile(lambda: made.append(_register(node, "hello")))

    seen = see()

    assert (True, True, ()) == (made[0] in seen.rows, made[0] in seen.paths, seen.entries)


def test_a_path_that_appears_without_a_row_is_unknown(
    node: Node, see: Callable[[], Observation], meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    """Coming late is no excuse for coming unregistered."""
    meanwhile(lambda: shutil.copy(node.physical("library"), node.root / "nix/store/evil"))

    assert (Entry("evil", "extra"),) == see().entries


def test_a_path_that_is_replaced_meanwhile_is_looked_at_again(
    node: Node, see: Callable[[], Observation], meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    """What was missing for a moment, while it was repaired, is seen as it is in the end."""
    library = node.physical("library")
    aside = node.directory / "aside"
    library.rename(aside)
    meanwhile(lambda: aside.rename(library))

    seen = see()

    assert None is seen.paths[node.path("library")].problem
    with StoreDatabase.open(node.root / "nix/var/nix") as database:
        row = database.path_info(node.path("library"))
    assert row is not None
    assert row.nar_hash.sri == seen.paths[node.path("library")].nar_hash


def test_what_is_done_is_told_as_it_is_done(node: Node) -> None:
    """Progress counts bytes up to the total."""
    totals: list[int] = []
    done: list[int] = []
    running = Running(node.path("system"), None, None)

    observe(StoreLocation(node.root), running, (node.signed.manifest,), total=totals.append, advance=done.append)

    assert totals == [sum(done)] == [sum(record.nar_size for record in node.signed.manifest.paths)]


def test_no_more_is_read_of_a_path_than_is_signed_or_registered(node: Node, see: Callable[[], Observation]) -> None:
    """The manifest's size counts where it lists the path, whatever the row says."""
    hello = _register(node, "hello")
    node.sql("update ValidPaths set narSize = 9223372036854775807 where path = ?", node.path("text"))
    for place in (node.physical("text"), node.root / hello.lstrip("/")):
        os.truncate(place, 8 << 40)

    seen = see()

    assert ["oversized", "oversized"] == [seen.paths[path].problem for path in (node.path("text"), hello)]


def _register(node: Node, name: str) -> str:
    """Add a path to the store and its database, as a build of this machine would."""
    path = f"/nix/store/{'0' * 32}-{name}"
    shutil.copy(node.physical("library"), node.root / path.lstrip("/"))
    node.sql(
        "insert into ValidPaths (path, hash, registrationTime, narSize)"
        " select ?, hash, registrationTime, narSize from ValidPaths where path = ?",
        path,
        node.path("library"),
    )
    return path
