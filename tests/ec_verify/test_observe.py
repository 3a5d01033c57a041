"""Steps 2 and 3 together, on a store that may move."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import pytest

from ec_closure.errors import LocalError
from ec_closure.store_db import StoreDatabase
from ec_verify import observation
from ec_verify.location import StoreLocation
from ec_verify.observation import observe
from ec_verify.observe.running import Running
from ec_verify.scan.busy import Patience
from ec_verify.scan.entries import Entry
from ec_verify.scan.litter import Litter, inspect_litter
from ec_verify.scan.oddity import Oddity
from ec_verify.scan.path import Known, PathObservation, look
from ec_verify.scan.pool import look_at_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.ec_verify.conftest import Node

    from ec_verify.model import Observation
    from ec_verify.scan.path import PathTask

pytestmark = pytest.mark.nix


@pytest.fixture
def see(node: Node, waiting: Waiting) -> Callable[[], Observation]:
    """Give a function that observes the node."""
    running = Running(node.path("system"), None, None)
    return lambda: observe(StoreLocation(node.root), running, (node.signed.manifest,), patience=waiting.patience)


class Waiting:
    """Time that passes only when somebody waits, and what happens then."""

    def __init__(self) -> None:
        self.time = 0.0
        self.acts: list[Callable[[], object]] = []
        self.patience = Patience(clock=lambda: self.time, pause=self.pause)

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds
        if self.acts:
            self.acts.pop(0)()


@pytest.fixture
def waiting() -> Waiting:
    """Give a time of its own."""
    return Waiting()


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


BUSY = f"{'2' * 32}-firmware"


@pytest.fixture
def unpacked(node: Node) -> Iterator[tuple[Path, int]]:
    """Give a path that is being substituted: it is there, its lock is taken, and it has no row yet."""
    place = node.root / "nix/store" / BUSY
    shutil.copy(node.physical("library"), place)
    lock = place.with_name(f"{BUSY}.lock")
    fd = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    yield place, fd
    os.close(fd)


def test_a_substitution_that_ends_meanwhile_is_no_entry_without_a_row(
    node: Node, see: Callable[[], Observation], waiting: Waiting, unpacked: tuple[Path, int]
) -> None:
    """Unpacked first, registered then: who looks in between waits a moment."""

    def register() -> None:
        _register(node, "firmware", name=BUSY)
        unpacked[0].with_name(f"{BUSY}.lock").unlink()
        fcntl.flock(unpacked[1], fcntl.LOCK_UN)

    waiting.acts = [lambda: None, register]

    seen = see()

    assert ((), (), True) == (seen.entries, seen.partial, f"/nix/store/{BUSY}" in seen.paths)


def test_what_stays_locked_is_neither_unknown_nor_good(
    see: Callable[[], Observation], waiting: Waiting, unpacked: tuple[Path, int]
) -> None:
    """A lock that is held for ever hides nothing: the run cannot pass, and waits a few seconds only."""
    seen = see()

    assert [Entry(BUSY, "in flight"), Entry(f"{BUSY}.lock", "in flight")] == list(seen.entries)
    assert (f"1 entries of the store directory are being made or removed, the first {BUSY}",) == seen.partial
    assert waiting.patience.seconds <= waiting.time < waiting.patience.seconds + 1
    assert unpacked[0].exists()


def test_a_back_door_behind_a_lock_is_seen(see: Callable[[], Observation], unpacked: tuple[Path, int]) -> None:
    """What is locked is looked into like all that is under way."""
    unpacked[0].chmod(0o4555)

    assert (Oddity("setid", BUSY, "mode 4555"),) == see().oddities


def test_a_lock_that_nobody_holds_is_no_excuse(
    see: Callable[[], Observation], waiting: Waiting, unpacked: tuple[Path, int]
) -> None:
    """Leaving a lock file behind is easier than holding it."""
    fcntl.flock(unpacked[1], fcntl.LOCK_UN)

    seen = see()

    assert Entry(BUSY, "extra") == seen.entries[0]
    assert () == seen.partial
    assert waiting.time <= waiting.patience.quiet + 2 * waiting.patience.interval


def test_a_deletion_that_ends_meanwhile_leaves_nothing(
    node: Node, see: Callable[[], Observation], waiting: Waiting
) -> None:
    """The collector removes the row first and the bytes then, and takes no lock on the path."""
    place = node.root / "nix/store" / BUSY
    place.write_bytes(b"half gone")
    waiting.acts = [lambda: None, place.unlink]

    seen = see()

    assert ((), ()) == (seen.entries, seen.partial)


@pytest.mark.parametrize(("recent", "expected"), [(True, "in flight"), (False, "extra")])
def test_what_the_collector_removes_is_waited_for(
    node: Node,
    see: Callable[[], Observation],
    waiting: Waiting,
    recent: bool,  # noqa: FBT001 - a table
    expected: Literal["extra", "in flight"],
) -> None:
    """As long as it holds its lock and touches the path; what lies there untouched is not being removed."""
    (node.root / "nix/store" / BUSY).write_bytes(b"half gone")
    if not recent:
        waiting.patience = replace(waiting.patience, now=lambda: time.time() + 3600)
    fd = os.open(node.root / "nix/var/nix/gc.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        seen = see()
    finally:
        os.close(fd)

    assert ((Entry(BUSY, expected),), expected == "in flight") == (seen.entries, bool(seen.partial))


def test_what_no_store_path_is_called_is_not_waited_for(
    node: Node, see: Callable[[], Observation], waiting: Waiting
) -> None:
    """Nix makes nothing of that name, so nobody can be making it."""
    (node.root / "nix/store/evil").write_bytes(b"")

    assert (Entry("evil", "extra"),) == see().entries
    assert 0.0 == waiting.time


def test_bytes_of_a_path_that_is_being_removed_are_no_forgery(
    node: Node,
    see: Callable[[], Observation],
    waiting: Waiting,
    meanwhile: Callable[[Callable[[], object]], None],
) -> None:
    """Half of it was hashed; its row is gone, and so are soon the rest of its bytes."""
    hello = _register(node, "hello")
    place = node.root / hello.lstrip("/")
    place.chmod(0o644)
    place.write_bytes(b"half gone")
    meanwhile(lambda: node.sql("delete from ValidPaths where path = ?", hello))
    waiting.acts = [place.unlink]

    seen = see()

    assert (False, False, ()) == (hello in seen.rows, hello in seen.paths, seen.entries)


def test_a_path_that_changed_while_it_was_read_is_read_until_it_rests(
    node: Node, see: Callable[[], Observation], waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An optimiser replaces files by links in passing; what never rests is told as changed, after a few seconds."""
    library = node.path("library")
    looks = 0

    def restless(tasks: list[PathTask], **options: Any) -> dict[str, PathObservation]:
        nonlocal looks
        looks += 1
        changed = {library: PathObservation(library, problem="changed")} if looks < rests_at else {}
        return {path: changed.get(path, look) for path, look in look_at_all(tasks, **options).items()}

    monkeypatch.setattr(observation, "look_at_all", restless)
    rests_at = 4
    assert None is see().paths[library].problem

    looks, rests_at, waiting.time = 0, 10_000, 0.0
    assert "changed" == see().paths[library].problem
    assert waiting.time < waiting.patience.seconds + 1


def test_corrupt_bytes_are_read_once(
    node: Node, see: Callable[[], Observation], waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their row is asked for again, and they are not: a large store full of damage is not read twice."""
    tasks: list[str] = []

    def look(todo: list[PathTask], **options: Any) -> dict[str, PathObservation]:
        tasks.extend(task.path for task in todo)
        return look_at_all(todo, **options)

    monkeypatch.setattr(observation, "look_at_all", look)
    node.physical("library").write_bytes(b"evil\n")

    see()

    assert (1, 0.0) == (tasks.count(node.path("library")), waiting.time)


def test_the_store_directory_and_its_links_are_looked_at(node: Node, see: Callable[[], Observation]) -> None:
    """Who may write there decides what lies there."""
    store = node.root / "nix/store"
    (store / ".links").mkdir(exist_ok=True)
    (store / ".links" / "sh").symlink_to("/bin/sh")
    store.chmod(0o777)

    assert {("mode", ""), ("mtime", ".links/sh"), ("stranger", ".links/sh")} == {
        (oddity.kind, oddity.name) for oddity in see().oddities
    }


def test_what_is_under_way_without_end_is_unknown(
    node: Node, see: Callable[[], Observation], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that looks like work of Nix hides no more than can be looked through."""
    (node.root / "nix/store/tmp-1-1" / "a").mkdir(parents=True)
    monkeypatch.setattr(observation, "inspect_litter", partial(inspect_litter, max_entries=1))

    assert (Entry("tmp-1-1", "extra"),) == see().entries


def test_links_that_cannot_be_read_leave_a_hole(
    node: Node, see: Callable[[], Observation], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And do not end the run."""

    def refuse(*_: object) -> list[Oddity]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(observation, "inspect_links", refuse)
    monkeypatch.setattr(observation, "inspect_litter", lambda *_: Litter(unread=("tmp-1-1",)))

    assert (
        ".links could not be read: Permission denied",
        "1 entries of work under way could not be read, as tmp-1-1",
    ) == see().partial
    assert node.root.exists()


def _register(node: Node, what: str, *, name: str = "") -> str:
    """Add a path to the store and its database, as a build of this machine would."""
    path = f"/nix/store/{name or '0' * 32 + '-' + what}"
    shutil.copy(node.physical("library"), node.root / path.lstrip("/"))
    node.sql(
        "insert into ValidPaths (path, hash, registrationTime, narSize)"
        " select ?, hash, registrationTime, narSize from ValidPaths where path = ?",
        path,
        node.path("library"),
    )
    return path


class Recalls:
    """A memory that knows every path, whatever it is."""

    def prepare(self, todo: list[PathTask], _wanted: dict[str, str], *, read_all: bool) -> list[PathTask]:
        """Know all."""
        assert not read_all
        seen = {task.path: look(replace(task, remember=True)) for task in todo}
        known = {
            path: Known(one.nar_hash or "", one.nar_size, one.fingerprint.digest, one.fingerprint.entries, 1)
            for path, one in seen.items()
            if one.fingerprint is not None
        }
        return [replace(task, known=known[task.path]) for task in todo]


def test_layers_are_looked_at_for_paths_that_are_not_read_again(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy in an upper layer may be as old as the memory of it."""
    asked: set[str] = set()
    real = observation.layers.observe

    def note(location: StoreLocation, mounted: Any, current: str | None, tasks: list[PathTask]) -> Any:
        asked.update(task.path for task in tasks)
        return real(location, mounted, current, tasks)

    monkeypatch.setattr(observation.layers, "observe", note)
    running = Running(node.path("system"), None, None)
    observe(StoreLocation(node.root), running, (node.signed.manifest,), memory=Recalls())  # type: ignore[arg-type]

    assert {record.path for record in node.signed.manifest.paths} == asked
