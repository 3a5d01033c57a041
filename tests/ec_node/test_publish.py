"""`ec-node publish` with a real ffmpeg, watched as systemd and players would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

from ec_node.archive import index
from ec_node.media.playlist import parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def film(ffmpeg: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a transport stream of six seconds with MPEG-2 pictures, as it would be broadcast."""
    path = tmp_path_factory.mktemp("film") / "film.ts"
    words = "-hide_banner -loglevel error -f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine=sample_rate=48000"
    words += " -t 6 -c:v mpeg2video -b:v 500k -g 12 -c:a ac3"
    subprocess.run([ffmpeg, *words.split(), path], check=True)
    return path


def test_a_test_pattern_plays(publishing: Any) -> None:
    """The playlist is valid and advances, ffprobe plays it, and a stop is a clean end."""
    publishing.start()
    publishing.message("READY=1")
    first = publishing.segments(2)
    then = publishing.segments(3)
    shown = subprocess.run(
        [
            *["ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "json"],
            f"http://127.0.0.1:{publishing.port}/test/master.m3u8",
        ],
        check=True,
        capture_output=True,
    )

    assert first.sequence + len(first.entries) < then.sequence + len(then.entries)
    assert {entry.duration for entry in then.entries} == {1000}
    assert {"h264", "aac"} == {one["codec_name"] for one in json.loads(shown.stdout)["streams"]}
    assert b"ok\n" == publishing.fetch("/healthz")
    assert publishing.fetch("/metrics").endswith(b"# EOF\n")
    assert 0 == publishing.end()
    publishing.message("STOPPING=1")


def test_a_killed_ffmpeg_is_a_discontinuity_and_no_more(publishing: Any) -> None:
    """Numbers go on, and no name is used twice."""
    publishing.configure(top="real_time = false", window=1000)
    publishing.start()
    before = publishing.segments(1)
    for killed in range(2):
        os.kill(publishing.ffmpeg(), signal.SIGKILL)
        while sum(entry.discontinuity for entry in publishing.segments(1).entries) <= killed:
            continue
    last = publishing.segments(1)

    assert before.sequence == last.sequence
    assert before.entries == last.entries[: len(before.entries)]
    assert 2 == sum(entry.discontinuity for entry in last.entries)
    assert len({entry.head for entry in last.entries}) == 3
    assert len({entry.uri for entry in last.entries}) == len(last.entries)
    assert b'failures_total{broadcast="test",cause="node.program"} 2' in publishing.fetch("/metrics")


def test_a_killed_publisher_never_goes_back(publishing: Any) -> None:
    """Its successor numbers segments above all that players have seen, however fast they came."""
    publishing.configure(top="real_time = false", window=1000)
    publishing.start()
    before = publishing.segments(2)
    publishing.end(signal.SIGKILL)
    publishing.start()
    after = publishing.segments(1)

    assert after.sequence >= before.sequence + len(before.entries)
    assert after.discontinuity_sequence > before.discontinuity_sequence
    assert after.discontinuity_sequence < 100_000_000


def test_a_stopped_ffmpeg_is_noticed_and_replaced(publishing: Any) -> None:
    """It neither ends nor goes on: the watchdog on its progress ends it."""
    publishing.start()
    publishing.segments(1)
    stuck = publishing.ffmpeg()
    os.kill(stuck, signal.SIGSTOP)
    found = publishing.segments(1)

    assert publishing.ffmpeg() != stuck
    assert [False, True] == [entry.discontinuity for entry in found.entries]
    assert b'cause="node.input"} 1' in publishing.fetch("/metrics")


def test_new_settings_begin_without_a_new_process(publishing: Any) -> None:
    """And bad ones change nothing."""
    publishing.start()
    publishing.segments(1)
    running = publishing.ffmpeg()
    (publishing.directory / "broadcast.toml").write_text("name = 1")
    publishing.send(signal.SIGHUP)
    publishing.message("RELOADING=1\nMONOTONIC_USEC=")
    publishing.message("READY=1")
    unchanged = publishing.ffmpeg()
    publishing.configure("test:160x90")
    publishing.send(signal.SIGHUP)
    publishing.message("RELOADING=1")
    while not publishing.segments(1).entries[-1].discontinuity:
        continue

    assert running == unchanged
    assert b"RESOLUTION=160x90" in publishing.fetch("/test/master.m3u8")
    assert b"failures" not in publishing.fetch("/metrics")


@pytest.mark.parametrize("passthrough", [False, True])
def test_two_runs_over_one_file_make_the_same_bytes(publishing: Any, film: Path, *, passthrough: bool) -> None:
    """Encoded, or passed through: segments are a function of the input."""
    source = film
    if passthrough:
        source = publishing.directory / "copy.ts"
        words = "-c:v libx264 -preset ultrafast -g 20 -c:a aac"
        subprocess.run(["ffmpeg", "-loglevel", "error", "-i", film, *words.split(), source], check=True)
    found = []
    for name in ("one", "two"):
        archive = publishing.directory / name
        archive.mkdir()
        publishing.configure(
            f"file://{source}",
            top=f"real_time = false\npassthrough = {str(passthrough).lower()}",
            config=f'[archive]\ndirectory = "{archive}"\nkeep_free = 0',
        )
        publishing.start("--once")
        assert 0 == publishing.process.wait(timeout=30)
        found.append(index.read(archive / "index" / "test.jsonl").lines)

    assert [line.segment for line in found[0]] == [line.segment for line in found[1]]
    assert found[0][0].head == found[1][0].head
    assert sum(line.duration for line in found[0]) == pytest.approx(6000, abs=300)


def test_a_file_that_ends_says_so(publishing: Any, film: Path) -> None:
    """Players stop there, and what they have not seen stays until the service is stopped."""
    publishing.configure(f"file://{film}", top="real_time = false")
    publishing.start()
    publishing.message("STATUS=the input has ended")

    assert publishing.playlist().ended
    assert 0 == publishing.end()


class Tuner(ThreadingHTTPServer):
    """Plays a tuner that sends two seconds and then is silent, or hangs up, and from the second time on all it has."""

    daemon_threads = True

    def __init__(self, data: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Tuning)
        self.data = data
        self.asked = 0
        self.silent = True
        self.ended = Event()


class _Tuning(BaseHTTPRequestHandler):
    server: Tuner

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(200)
        self.end_headers()
        if self.server.asked == 2:  # after the probe
            self.wfile.write(self.server.data[: len(self.server.data) * 2 // 3])
            if self.server.silent:
                self.server.ended.wait(30)
            return
        self.wfile.write(self.server.data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def tuner(film: Path) -> Iterator[Tuner]:
    """Give a tuner at loopback."""
    with Tuner(film.read_bytes()) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.ended.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("silent", [True, False])
def test_an_input_that_is_cut_or_silent_is_opened_again(publishing: Any, tuner: Tuner, *, silent: bool) -> None:
    """With a playlist that is valid at every segment."""
    tuner.silent = silent
    publishing.configure(f"http://127.0.0.1:{tuner.server_port}/auto/v4.1")
    publishing.start()
    found = publishing.segments(3)
    while not any(entry.discontinuity for entry in found.entries):
        found = publishing.segments(1)

    assert tuner.asked >= 3


def test_a_playlist_of_a_stranger_publishes_no_file_of_ours(publishing: Any, tuner: Tuner, film: Path) -> None:
    """It may name any address as a segment."""
    tuner.data = f"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\nfile://{film}\n#EXT-X-ENDLIST\n".encode()
    publishing.configure(f"http://127.0.0.1:{tuner.server_port}/live.m3u8")

    code, _ = publishing.fail()

    assert (3, 1) == (code, tuner.asked)


class Refused:
    """What cannot begin: how the files differ, the exit code, and a part of the one line."""

    CASES = (
        ({"source": "file:///nowhere/film.ts"}, 3, "there is no such file"),
        ({"source": "http://127.0.0.1:1/auto/v4.1"}, 3, "the connection is refused"),
        ({"source": "hdhomerun://127.0.0.1/4.1"}, 3, "the connection is refused"),
        ({"source": "nowhere"}, 2, "the input is no address"),
        ({"top": "colour = true"}, 2, "unknown field `colour`"),
        ({"config": "[origin]\naddress = '192.0.2.1'"}, 3, "cannot listen"),
        ({"config": "[ffmpeg]\nffmpeg = '/nowhere/ffmpeg'"}, 3, "no such file or directory"),
        ({"tables": '[push]\nurl = "http://127.0.0.1:1/"\ncredential = "x"'}, 2, "there is no credential x"),
    )


@pytest.mark.parametrize(("changes", "code", "words"), Refused.CASES)
def test_what_cannot_begin_says_why_in_one_line(
    publishing: Any, changes: dict[str, str], code: int, words: str
) -> None:
    """With an exit code that tells whose fault it is."""
    publishing.configure(**changes)
    found, lines = publishing.fail()

    assert code == found
    assert words in lines[0].lower() or words in lines[0]
    assert len(lines) == 2
    assert lines[1].startswith("  hint: ")


def test_what_players_cannot_play_is_not_passed_through(publishing: Any, film: Path) -> None:
    """A broadcast that nobody can watch is no broadcast."""
    publishing.configure(f"file://{film}", top="passthrough = true")

    code, lines = publishing.fail()

    assert (2, "mpeg2video") == (code, lines[0].split(" video")[0].rpartition(" ")[2])


class _Origin(BaseHTTPRequestHandler):
    files: dict[str, bytes]

    def do_PUT(self) -> None:
        self.files[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.files["authorization"] = (self.headers["Authorization"] or "").encode()
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_DELETE(self) -> None:
        self.files.pop(self.path, None)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_another_origin_is_sent_all_that_its_playlist_lists(publishing: Any) -> None:
    """With the secret, and nothing before it is there."""
    files: dict[str, bytes] = {}
    handler = type("Origin", (_Origin,), {"files": files, "protocol_version": "HTTP/1.1"})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever)
        thread.start()
        publishing.configure(tables=f'[push]\nurl = "http://127.0.0.1:{server.server_port}/x/"\ntoken = "abc"')
        publishing.start()
        publishing.segments(4)
        code = publishing.end()
        server.shutdown()
        thread.join()

    found = parse(files["/x/index.m3u8"].decode())
    assert (0, b"Bearer abc") == (code, files["authorization"])
    assert len(found.entries) >= 3
    assert {f"/x/{name}" for entry in found.entries for name in (entry.uri, entry.head)} <= files.keys()
    assert b"#EXT-X-STREAM-INF" in files["/x/master.m3u8"]
