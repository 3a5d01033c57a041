"""Which paths are read again: what changed, what is old, and a part of the rest in turn."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_verify.memory.choose import asked, choose, settled
from ec_verify.memory.clock import set_back
from ec_verify.memory.contents import Clock, Read
from ec_verify.scan.path import PathTask

DAY = 86400
NOW = 1_790_000_000
SRI = "sha256-" + "A" * 43 + "="
OTHER = "sha256-" + "B" * 42 + "A="
KEY = b"k" * 32
SECOND = 10**9


def task(name: str, **changes: object) -> PathTask:
    """Return the task of looking at a path."""
    return replace(PathTask(path=f"/nix/store/{name}", physical=f"/{name}", store_dir="/nix/store"), **changes)


def read(one: PathTask, *, size: int = 100, age: int = DAY, nar_hash: str = SRI) -> Read:
    """Return what is remembered of it."""
    return Read(one.path, nar_hash, size, asked(one), one.ca is not None, b"f" * 32, 1, NOW - age)


def trusted(one: PathTask, known: Read, *, expected: str = SRI, max_age: int = 30 * DAY) -> bool:
    """Tell whether *one* would not have to be read, were it not its turn."""
    chosen = choose([one], {one.path: expected}, {one.path: known}, now=NOW, max_age=max_age, runs=1000, key=KEY)
    return one.path in chosen.trusted.keys() | chosen.turn.keys()


def test_what_is_remembered_and_young_is_trusted() -> None:
    """The plain case, with and without a content address."""
    assert trusted(task("a"), read(task("a")))
    assert trusted(task("a", ca="text:sha256:x"), read(task("a", ca="text:sha256:x")))


def test_what_was_remembered_with_other_bytes_is_read() -> None:
    """A release that signs other bytes for a path starts anew."""
    assert not trusted(task("a"), read(task("a"), nar_hash=OTHER))
    assert not trusted(task("a"), read(task("a")), expected=OTHER)


def test_what_is_asked_differently_is_read() -> None:
    """Another content address, or other references, would deserve another name."""
    assert not trusted(task("a", ca="text:sha256:x"), read(task("a")))
    assert not trusted(task("a", references=("/nix/store/b",)), read(task("a")))
    assert not trusted(task("a", ca="x"), replace_deserved(read(task("a", ca="x"))))


def replace_deserved(one: Read) -> Read:
    """Return the same, of a path that did not deserve its name."""
    return Read(
        one.path, one.nar_hash, one.nar_size, one.asked, not one.deserved, one.fingerprint, one.entries, one.read_at
    )


@pytest.mark.parametrize(("age", "believed"), [(0, True), (30 * DAY, True), (30 * DAY + 1, False), (-1, False)])
def test_age_is_limited_on_both_ends(age: int, believed: bool) -> None:  # noqa: FBT001 - a table
    """What is too old is read, and what comes from the future is, too."""
    assert believed is trusted(task("a"), read(task("a"), age=age))


@given(
    st.lists(st.integers(96, 10**6), min_size=1, max_size=60),
    st.integers(1, 40),
    st.binary(min_size=32, max_size=32),
)
def test_everything_is_read_in_so_many_runs(sizes: list[int], runs: int, key: bytes) -> None:
    """However the sizes lie, no path is left out for longer than that."""
    todo = [task(f"p{number}") for number in range(len(sizes))]
    known = {one.path: read(one, size=size, age=runs) for one, size in zip(todo, sizes, strict=True)}
    seen: set[str] = set()

    for number in range(runs):
        now = NOW + number
        chosen = choose(todo, dict.fromkeys(known, SRI), known, now=now, max_age=30 * DAY, runs=runs, key=key)
        assert known.keys() == chosen.trusted.keys() | chosen.turn.keys()
        assert sum(known[path].nar_size for path in chosen.turn) * runs >= sum(sizes)
        seen |= chosen.turn.keys()
        for one in todo:
            if one.path in chosen.turn:
                size = known[one.path].nar_size
                known[one.path] = Read(one.path, SRI, size, asked(one), False, b"f" * 32, 1, now)  # noqa: FBT003

    assert known.keys() == seen


def test_whose_turn_it_is_depends_on_the_key() -> None:
    """Who does not know the node's key cannot tell which path is not read next."""
    todo = [task(f"p{number}") for number in range(50)]
    known = {one.path: read(one) for one in todo}
    turns = {
        frozenset(
            choose(
                todo, dict.fromkeys(known, SRI), known, now=NOW, max_age=30 * DAY, runs=10, key=bytes([key]) * 32
            ).turn
        )
        for key in range(5)
    }

    assert 5 == len(turns)


@pytest.mark.parametrize(
    ("newest", "rested"),
    [
        (100 * SECOND - 1, False),
        (100 * SECOND - SECOND // 10 - 1, True),
        (99 * SECOND, False),
        (98 * SECOND, False),
        (98 * SECOND - 1, True),
        (97 * SECOND, True),
        (101 * SECOND, False),
    ],
)
def test_what_changed_just_before_it_was_read_is_not_settled(newest: int, rested: bool) -> None:  # noqa: FBT001
    """Ticks of the kernel, and file systems that count in seconds, could hide a second change."""
    assert rested is settled(newest, 100 * SECOND)


BEFORE = Clock(1000 * SECOND, 500 * SECOND, "boot-1")


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (Clock(1100 * SECOND, 600 * SECOND, "boot-1"), None),
        (Clock(1100 * SECOND, 10 * SECOND, "boot-2"), None),
        (Clock(9100 * SECOND, 600 * SECOND, "boot-1"), None),
        (Clock(900 * SECOND, 10 * SECOND, "boot-2"), "100 seconds earlier"),
        (Clock(1050 * SECOND, 600 * SECOND, "boot-1"), "set back by 50 seconds"),
        (Clock(1050 * SECOND, 600 * SECOND, ""), None),
    ],
)
def test_a_clock_that_went_back_is_noticed(after: Clock, said: str | None) -> None:
    """Within one boot by the time since boot, else by the wall clock alone; forward is no harm."""
    found = set_back(BEFORE, after)

    assert (found is None) if said is None else (found is not None and said in found)
