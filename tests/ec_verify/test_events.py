"""What Nix says while it works, and what others say in its place."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_verify.ghost.events import Activity, Reader

DRV = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-hello-2.12.drv"
ERROR = "\u001b[31;1merror:\u001b[0m builder for '\u001b[35;1m" + DRV + "\u001b[0m' failed with exit code 1"


def event(**fields: Any) -> bytes:
    """Return one line of internal-json."""
    return b"@nix " + msgspec.json.encode(fields) + b"\n"


BUILD = (
    event(action="start", fields=["resolving derivation"], id=1, level=5, parent=0, text="resolving", type=0),
    event(action="start", fields=[DRV, "", 1, 1], id=71, level=3, parent=0, text=f"building '{DRV}'", type=105),
    event(action="result", fields=["unpacking sources"], id=71, type=104),
    event(action="result", fields=["\u001b[1mchecking\u001b[0m for gcc... no"], id=71, type=101),
    event(action="result", fields=[0, 1, 1, 0], id=2, type=105),
    event(action="stop", id=71),
    event(action="msg", level=0, msg=ERROR, raw_msg="builder failed"),
)


def read(*lines: bytes) -> Activity:
    """Feed *lines* into an activity."""
    activity = Activity()
    reader = Reader(activity)
    for line in lines:
        reader.feed(line)
    return activity


def test_a_build_is_seen_with_its_log_and_its_error() -> None:
    """Lines as Nix 2.8 writes them."""
    seen = read(*BUILD)

    assert ([DRV], "checking for gcc... no") == (seen.builders, seen.last_lines(DRV))
    assert [f"error: builder for '{DRV}' failed with exit code 1"] == seen.messages


def test_what_was_fetched_is_no_build() -> None:
    """A substitution must never count as a rebuild."""
    seen = read(event(action="start", fields=[DRV[:-4], "https://cache.invalid"], id=3, level=3, type=108))

    assert ([], [DRV[:-4]]) == (seen.builders, seen.substituted)


def test_progress_is_told_of_each_builder_that_starts_and_ends() -> None:
    """Once each, whatever else ends."""
    told: list[tuple[str, bool]] = []
    reader = Reader(Activity(), lambda derivation, started: told.append((derivation, started)))
    for line in (*BUILD, event(action="stop", id=71), event(action="stop", id=999)):
        reader.feed(line)

    assert [(DRV, True), (DRV, False)] == told


def test_only_the_end_of_a_log_is_kept() -> None:
    """A builder may print for hours."""
    lines = [event(action="result", fields=[f"line {number}" * 200], id=71, type=101) for number in range(100)]

    seen = read(BUILD[1], *lines)

    kept = seen.last_lines(DRV).split("\n")
    assert (25, 500, True) == (len(kept), max(map(len, kept)), kept[-1].startswith("line 99"))


def test_a_log_line_of_nobody_belongs_to_nobody() -> None:
    """An activity that was not seen to start has no derivation."""
    assert {} == read(event(action="result", fields=["x"], id=9, type=101)).logs


def test_a_builder_that_prints_events_makes_none() -> None:
    """What a builder prints comes inside a log line, and stays text."""
    forged = event(action="start", fields=[DRV, "", 1, 1], id=5, type=105).decode()

    seen = read(BUILD[1], event(action="result", fields=[forged], id=71, type=101))

    assert [DRV] == seen.builders


@pytest.mark.parametrize(
    ("line", "messages"),
    [
        (b"warning: something\n", ["warning: something"]),
        (b"\n", []),
        (b"   \n", []),
        (b"@nix\n", ["@nix"]),
        (b"@nix {\n", ["@nix {"]),
        (b"@nix []\n", ["@nix []"]),
        (b'@nix {"id":1}\n', ['@nix {"id":1}']),
        (b'@nix {"action":"start","fields":[null]}\n', ['@nix {"action":"start","fields":[null]}']),
        (b"\xff\n", ["\ufffd"]),
        (event(action="msg", level=3, msg="chatter"), []),
        (event(action="start", id=1, type=105), []),
        (event(action="unknown", id=1), []),
    ],
)
def test_lines_that_are_no_events_are_messages(line: bytes, messages: list[str]) -> None:
    """Nothing that Nix, or a crash of it, says is lost; nothing that is malformed is believed."""
    seen = read(line)

    assert (messages, []) == (seen.messages, seen.builders)


def test_a_line_without_end_is_cut() -> None:
    """A megabyte of one line is no event any more."""
    seen = read(b"@nix " + b"x" * (2 << 20), b"y" * (2 << 20))

    assert [500, 500] == [len(message) for message in seen.messages]


def test_a_deep_line_is_refused_without_recursion() -> None:
    """Depth is up to whoever writes the line."""
    seen = read(b'@nix {"action":"msg","x":' + b"[" * 200_000)

    assert (1, []) == (len(seen.messages), seen.builders)


def test_endless_talk_does_not_fill_the_memory() -> None:
    """The first messages say what went wrong."""
    reader = Reader(activity := Activity())
    for number in range(5000):
        reader.feed(b"warning %d" % number)
    reader.feed(event(action="msg", level=0, msg="x" * 1_000_000))

    assert (1000, "warning 0") == (len(activity.messages), activity.messages[0])
    assert 20_000 == len(read(event(action="msg", level=0, msg="x" * 1_000_000)).messages[0])


fields: st.SearchStrategy[Any] = st.lists(st.text(max_size=5) | st.integers(), max_size=3)
optional: dict[str, st.SearchStrategy[Any]] = {
    "id": st.integers(-1, 3) | st.integers(),
    "type": st.sampled_from([0, 101, 104, 105, 108]) | st.integers(),
    "level": st.integers(-1, 8),
    "msg": st.text(max_size=20),
    "fields": fields,
}
actions = st.sampled_from(["start", "stop", "result", "msg"])
events = st.fixed_dictionaries({"action": actions}, optional=optional).map(lambda drawn: event(**drawn))


@given(st.lists(events | st.binary(max_size=60) | st.sampled_from(BUILD), max_size=20))
def test_no_line_ends_the_run(lines: list[bytes]) -> None:
    """Any events in any order, and garbage between them."""
    seen = read(*lines)

    assert all(isinstance(text, str) for text in (*seen.builders, *seen.substituted, *seen.messages))
