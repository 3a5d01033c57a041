from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import signal
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_node import main
from ec_node.archive import index, recorder, replay
from ec_node.archive.app import application, moment
from ec_node.archive.cas import Objects
from ec_node.archive.follow import Follower
from ec_node.archive.index import IndexWriter, Line
from ec_node.archive.recorder import Archive, ArchivePublisher, index_path
from ec_node.errors import ArchiveError, ConfigError, MediaError, PushError
from ec_node.media.playlist import Entry, MediaPlaylist, parse, render
from ec_node.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ec_node.media.segmenter import Head, Segment

T = 1_800_000_000_000


def line(at: int, *, head: str = "0" * 64, broken: bool = False) -> Line:
    """Return the line of a segment of two seconds that begins *at* seconds after T."""
    return Line(time=T + at * 1000, duration=2000, size=3, segment=f"{at:064x}", head=head, broken=broken)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Give an archive of the broadcast `a`: six segments of two seconds, the last two after a hole of eight."""
    archive = Archive(tmp_path, "a", keep_free=0)
    archive.begin(b"head")
    for at in (0, 2, 4, 6, 16, 18):
        archive.add(b"%d" % at, time=T / 1000 + at, duration=2000, broken=at in (0, 16))
    archive.close()
    return tmp_path


def test_an_object_is_kept_once_and_checked_when_it_is_read(tmp_path: Path) -> None:
    """Its name is its hash."""
    objects = Objects(tmp_path)
    digest = objects.put(b"bytes")

    assert (digest, hashlib.sha256(b"bytes").hexdigest()) == (objects.put(b"bytes"), digest)
    assert b"bytes" == objects.get(digest)
    objects.path(digest).write_bytes(b"Bytes")
    with pytest.raises(ArchiveError, match="damaged"):
        objects.get(digest)


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "0" * 63])
def test_an_object_has_no_other_name(tmp_path: Path, digest: str) -> None:
    """Nothing outside the archive can be asked for."""
    with pytest.raises(ArchiveError):
        Objects(tmp_path).get(digest)


def test_a_link_is_no_object(tmp_path: Path) -> None:
    """Whoever can write there could otherwise show any file."""
    objects = Objects(tmp_path)
    path = objects.path(hashlib.sha256(b"x").hexdigest())
    path.parent.mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"x")
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(ArchiveError):
        objects.get(path.stem)


@given(st.integers(0, 400))
def test_a_line_that_was_cut_off_goes_and_the_others_stay(
    tmp_path_factory: pytest.TempPathFactory, length: int
) -> None:
    """Wherever a killed run stopped."""
    path = tmp_path_factory.mktemp("index") / "a.jsonl"
    writer = IndexWriter(path)
    writer.append(line(0))
    writer.append(line(2))
    writer.close()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - length])
    whole = path.read_bytes().count(b"\n")
    before = index.read(path).lines
    writer = IndexWriter(path)
    writer.append(line(4))
    writer.close()

    assert (line(0), line(2))[:whole] == before
    assert (*before, line(4)) == index.read(path).lines


def test_a_line_that_is_none_is_counted_and_passed_over(tmp_path: Path) -> None:
    """One bad block does not cost the rest."""
    path = tmp_path / "a.jsonl"
    writer = IndexWriter(path)
    writer.append(line(0))
    writer.close()
    with path.open("ab") as file:
        file.write(b'{"time":1}\n\xff\xfe\n' + b"x" * 10_000 + b"\n")
    writer = IndexWriter(path)
    writer.append(line(2))
    writer.close()

    assert index.Index((line(0), line(2)), 3) == index.read(path)


def test_rubbish_without_end_does_not_swallow_the_next_line(tmp_path: Path) -> None:
    """Longer than what is looked at for the end of a line."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"x" * 9000)
    writer = IndexWriter(path)
    writer.append(line(0))
    writer.close()

    assert index.Index((line(0),), 1) == index.read(path)


def test_two_runs_do_not_write_one_index(tmp_path: Path) -> None:
    """The second is told."""
    first = IndexWriter(tmp_path / "a.jsonl")
    with pytest.raises(ArchiveError, match="another run"):
        IndexWriter(tmp_path / "a.jsonl")
    first.close()


KILLED = """
import sys
from pathlib import Path
from ec_node.archive.recorder import Archive
archive = Archive(Path(sys.argv[1]), "a", keep_free=0)
archive.begin(b"head")
print("begun", flush=True)
at = 0
while True:
    archive.add(b"%d" % at * 5000, time=float(at), duration=2000, broken=False)
    at += 1
"""


def test_a_run_that_is_killed_leaves_a_whole_archive(tmp_path: Path) -> None:
    """Whenever it is: what the index names is there, and is what it says."""
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            grown = index_path(tmp_path, "a")
            size = grown.stat().st_size
            while grown.stat().st_size < size + 700:
                continue
            process.send_signal(signal.SIGKILL)
        objects = Objects(tmp_path)
        found = index.read(grown)
        assert found.damaged == 0
        assert all(len(objects.get(one.segment)) == one.size for one in found.lines)
        assert all(objects.get(one.head) == b"head" for one in found.lines)


def test_a_full_disk_costs_segments_of_the_archive_alone(
    tmp_path: Path,
    make_head: Callable[[str], Head],
    make_segment: Callable[..., Segment],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are counted, and it goes on when there is room again."""
    metrics, full = Metrics("a"), [False]
    put = Objects.put

    def may_be_full(self: Objects, data: bytes) -> str:
        if full[0]:
            raise recorder.failed(OSError(errno.ENOSPC, "No space left on device"), tmp_path)
        return put(self, data)

    monkeypatch.setattr(Objects, "put", may_be_full)
    archive = Archive(tmp_path, "a", keep_free=0)

    async def work() -> None:
        publisher = ArchivePublisher(archive, metrics)
        task = asyncio.ensure_future(publisher.run())
        publisher.begin(make_head("a"))
        for at, full[0] in enumerate([False, True, True, False, False]):
            publisher.add(make_segment(str(at)), float(at))
            await publisher.drain()
        task.cancel()

    asyncio.run(work())
    archive.close()

    found = index.read(index_path(tmp_path, "a")).lines
    assert [0, 3000, 4000] == [one.time for one in found]
    assert [True, True, False] == [one.broken for one in found]
    assert (3, 2) == (metrics.value("archived"), metrics.value("archive_dropped"))


def test_an_archive_leaves_room_on_the_disk(tmp_path: Path) -> None:
    """Others need it."""
    archive = Archive(tmp_path, "a", keep_free=1 << 60)
    with pytest.raises(ArchiveError, match="are free"):
        archive.begin(b"head")
    archive.close()


def test_a_replay_is_a_playlist_of_the_span(filled: Path) -> None:
    """Finished, or still growing; a hole is a discontinuity."""
    lines = index.read(index_path(filled, "a")).lines
    whole = replay.playlist(lines, kind="EVENT", objects="o/")
    part = replay.playlist(replay.select(lines, begin=T + 3000, end=T + 5000), kind="VOD", objects="o/")

    assert [False, False, False, False, True, False] == [entry.discontinuity for entry in whole.entries]
    assert (False, "EVENT", 2) == (whole.ended, whole.kind, whole.target)
    assert [T / 1000 + 2, T / 1000 + 4] == [entry.time for entry in part.entries]
    assert (True, "VOD") == (part.ended, part.kind)
    assert [(T + 8000, T + 16000)] == replay.gaps(lines)
    assert len(part.entries) == len(parse(render(part)).entries)


@given(st.lists(st.booleans(), max_size=30), st.integers(0, 30))
def test_an_event_only_grows_at_its_end(broken: list[bool], more: int) -> None:
    """What a player has read stays as it was."""
    lines = [line(2 * at, broken=one) for at, one in enumerate(broken)]
    before = render(replay.playlist(lines[: len(lines) - more], kind="EVENT", objects=""))
    after = render(replay.playlist(lines, kind="EVENT", objects=""))

    assert (
        more > len(lines)
        or not lines
        or after.splitlines()[5:][: len(before.splitlines()[5:])] == (before.splitlines()[5:])
    )


def asked(root: Path, path: str, query: str = "", method: str = "GET", **headers: str) -> tuple[int, bytes]:
    """Return what the archive's server answers."""
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        messages.append(dict(message))

    pairs = [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": pairs}
    asyncio.run(application(root)({**scope, "root_path": "", "scheme": "http", "server": ("a", 1)}, receive, send))
    return messages[0]["status"], b"".join(message.get("body", b"") for message in messages[1:])


def test_an_archive_is_served(filled: Path) -> None:
    """Playlists, a time line, and objects, also in part."""
    status, text = asked(filled, "/a/vod.m3u8", "begin=2027-01-15T08:00:03Z&end=2027-01-15T08:00:05Z")
    found = parse(text.decode())
    uri = found.entries[0].uri.removeprefix("..")

    assert (200, 2, True) == (status, len(found.entries), found.ended)
    assert (200, b"2") == asked(filled, uri)
    assert (206, b"ea") == asked(filled, found.entries[0].head.removeprefix(".."), range="bytes=1-2")
    assert (416, b"") == asked(filled, uri, range="bytes=9-")
    assert (200, b"2") == asked(filled, uri, range="bytes=0-", if_range='"other"')
    assert (304, b"") == asked(filled, uri, if_none_match=f'"{uri.rpartition("/")[2][:64]}"')
    assert (204, b"") == asked(filled, uri, method="OPTIONS")
    assert (405, 405) == (asked(filled, uri, method="PUT")[0], asked(filled, "/a/vod.m3u8", method="DELETE")[0])
    assert b'"segments":6' in asked(filled, "/a/timeline.json")[1]


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/b/vod.m3u8", "", 404),
        ("/a/live.m3u8", "", 404),
        ("/../vod.m3u8", "", 404),
        ("/A/timeline.json", "", 404),
        ("/b/timeline.json", "", 404),
        ("/objects/x.m4s", "", 404),
        (f"/objects/{'0' * 64}.m4s", "", 404),
        ("/a/vod.m3u8", "begin=yesterday", 400),
    ],
)
def test_what_is_not_in_an_archive_is_not_found(filled: Path, path: str, query: str, status: int) -> None:
    """And says no more."""
    assert status == asked(filled, path, query)[0]


def test_a_time_is_of_utc_unless_it_says_otherwise() -> None:
    """Nodes and viewers are in different places."""
    assert T == moment("2027-01-15T08:00:00") == moment("2027-01-15T09:00:00+01:00")
    with pytest.raises(ConfigError):
        moment("8 o'clock")


class Published:
    """A playlist elsewhere that changes each time that it is asked for."""

    def __init__(self, *playlists: MediaPlaylist | str) -> None:
        self.playlists = list(playlists)
        self.fetched: list[str] = []

    async def get(self, address: str, limit: int) -> bytes:
        """Return what is there now."""
        assert limit > 0
        self.fetched.append(address)
        if address != "index.m3u8":
            return f"bytes of {address}".encode()
        found = self.playlists.pop(0)
        if isinstance(found, str):
            raise PushError(found, place=address)
        return render(found).encode()


def live(sequence: int, count: int, *, head: str = "i.mp4", ended: bool = False) -> MediaPlaylist:
    """Return a live playlist with *count* segments from *sequence* on."""
    entries = tuple(Entry(f"s{at}.m4s", 2000, head) for at in range(sequence, sequence + count))
    return MediaPlaylist(2, sequence, 0, entries, ended)


def followed(tmp_path: Path, published: Published, clock: Any, give_up: int = 0) -> tuple[Line, ...]:
    """Return what is archived of what was *published*."""
    archive = Archive(tmp_path, "a", keep_free=0)

    async def pause(_: float) -> None:
        clock.date += 1

    try:
        asyncio.run(Follower(published, "index.m3u8", archive, clock.clock, pause).run(give_up=give_up))
    finally:
        archive.close()
    return index.read(index_path(tmp_path, "a")).lines


def test_another_origin_is_followed_to_its_end(tmp_path: Path, hand_clock: Any) -> None:
    """Each segment once; what was missed, and what could not be fetched, is a hole."""
    published = Published(live(1, 3), live(2, 3), "answered 500", live(8, 2, ended=True))
    found = followed(tmp_path, published, hand_clock)

    assert ["s1.m4s", "s2.m4s", "s3.m4s", "s4.m4s", "s8.m4s", "s9.m4s"] == [
        one for one in published.fetched if one.startswith("s")
    ]
    assert [True, False, False, False, True, False] == [one.broken for one in found]
    assert all(after.time > before.time for before, after in pairwise(found))


def test_what_cannot_be_archived_is_an_error_in_the_end(tmp_path: Path, hand_clock: Any) -> None:
    """Where somebody waits for it."""
    with pytest.raises(MediaError):
        followed(tmp_path, Published(*[live(1, 1, head="")] * 3), hand_clock, give_up=2)


def test_the_commands_list_and_check_an_archive(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged object is found, and named."""
    assert 0 == main.run(["archive", "list", "--directory", str(filled)])
    assert 0 == main.run(["archive", "check", "--directory", str(filled)])
    assert "a  6 segments, 8 bytes" in capsys.readouterr().out
    digest = index.read(index_path(filled, "a")).lines[0].segment
    os.truncate(Objects(filled).path(digest), 0)
    assert 3 == main.run(["archive", "check", "--directory", str(filled)])
    assert digest in capsys.readouterr().out
