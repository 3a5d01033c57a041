"""What tests of the publisher share: heads, segments, a clock that is turned by hand, and what ffmpeg makes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

from ec_node import main
from ec_node.clock import Clock
from ec_node.media.fragment import Track
from ec_node.media.playlist import MediaPlaylist, parse
from ec_node.media.segmenter import Head, Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VIDEO = Track(1, "vide", 15360, "avc1.42c01e", 640, 360)
AUDIO = Track(2, "soun", 48000, "mp4a.40.2")


@pytest.fixture(autouse=True)
def _logs_end_with_their_test() -> Iterator[None]:
    """Forget what a command configured: it writes to a stream that is closed by the next test."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def make_head() -> Callable[[str], Head]:
    """Give a function that makes heads which differ by a word."""

    def make(word: str = "head") -> Head:
        data = word.encode()
        return Head(data, (VIDEO, AUDIO), hashlib.sha256(data).hexdigest())

    return make


@pytest.fixture
def make_segment() -> Callable[..., Segment]:
    """Give a function that makes segments which differ by a word."""

    def make(word: str = "segment", duration: str = "2") -> Segment:
        data = word.encode()
        return Segment(data, Fraction(duration), key=True, digest=hashlib.sha256(data).hexdigest())

    return make


class HandClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.date = 1_800_000_000.0
        self.clock = Clock(lambda: self.now, lambda: self.date, lambda: 0.5)


@pytest.fixture
def hand_clock() -> HandClock:
    """Give a clock of one's own."""
    return HandClock()


@pytest.fixture(scope="session")
def ffmpeg() -> str:
    """Give the name of ffmpeg; skip without."""
    if shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None:
        pytest.skip("there is no ffmpeg on the PATH")
    return "ffmpeg"


@pytest.fixture(scope="session")
def fragmented(ffmpeg: str) -> bytes:
    """Give six seconds of fragmented MP4 with a key frame a second."""
    words = (
        "-hide_banner -loglevel error -f lavfi -i testsrc2=size=320x180:rate=25 -f lavfi -i sine=sample_rate=48000 -t 6"
    )
    words += " -c:v libx264 -preset ultrafast -g 25 -keyint_min 25 -sc_threshold 0 -c:a aac"
    words += " -movflags +frag_keyframe+empty_moov+default_base_moof+cmaf -f mp4 pipe:1"
    return subprocess.run([ffmpeg, *words.split()], check=True, capture_output=True).stdout


BROADCAST = """
name = "test"
input = "{input}"
stall = 2
{top}
[video]
bitrate = 200
frame_rate = "10"
preset = "ultrafast"
[hls]
segment = 1
window = {window}
port = {port}
{tables}
"""
CONFIG = """
state_dir = "{state}"
[supervision]
start = 20
grace = 1
{tables}
"""
_PATIENCE = 30


class Publishing:
    """`ec-node publish`, started as systemd would: it is asked nothing, and says when something has happened."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = _free_port()
        self.process: subprocess.Popen[str] | None = None
        self._alive = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(directory / "notify"))
        self._socket.settimeout(_PATIENCE)

    def configure(
        self, source: str = "test:320x180", *, top: str = "", tables: str = "", config: str = "", window: int = 6
    ) -> None:
        """Write both files."""
        text = BROADCAST.format(input=source, top=top, tables=tables, port=self.port, window=window)
        (self.directory / "broadcast.toml").write_text(text)
        (self.directory / "ec-node.toml").write_text(CONFIG.format(state=self.directory / "state", tables=config))

    @property
    def command(self) -> list[str]:
        """The command line."""
        words = [sys.executable, "-m", "ec_node", "publish", "--broadcast", str(self.directory / "broadcast.toml")]
        return [*words, "--config", str(self.directory / "ec-node.toml")]

    def fail(self) -> tuple[int, list[str]]:
        """Run it here, where it cannot work, and return its exit code and what it said in the end."""
        with contextlib.redirect_stderr(io.StringIO()) as said:
            code = main.run(self.command[3:])
        return code, [line for line in said.getvalue().splitlines() if not line.startswith("{")]

    def start(self, *more: str) -> Publishing:
        """Start it. What one that was killed still had to say is forgotten."""
        self._socket.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while self._socket.recv(4096):
                continue
        self._socket.settimeout(_PATIENCE)
        environment = {**os.environ, "NOTIFY_SOCKET": str(self.directory / "notify"), "WATCHDOG_USEC": "20000000"}
        with (self.directory / "log").open("a") as log:
            self.process = subprocess.Popen(
                [*self.command, *more], env=environment, stderr=log, text=True, cwd=self.directory
            )
        return self

    def message(self, beginning: str) -> str:
        """Wait for a message of its that begins so. It says every second that it is alive."""
        for _ in range(1000):
            found = self._socket.recv(4096).decode()
            if found.startswith(beginning):
                return found
            self._alive = self._alive + 1 if found == "WATCHDOG=1" else 0
            assert self._alive < _PATIENCE, f"{beginning} does not come"
        raise AssertionError(beginning)

    def segments(self, count: int) -> MediaPlaylist:
        """Wait until it has published *count* more segments, and return the playlist."""
        for _ in range(count):
            self.message("STATUS=on air")
        return self.playlist()

    def fetch(self, path: str) -> bytes:
        """Return what the origin has at *path*."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=_PATIENCE) as answer:
            return bytes(answer.read())

    def playlist(self) -> MediaPlaylist:
        """Return the playlist, which must be valid."""
        return parse(self.fetch("/test/index.m3u8").decode())

    def ffmpeg(self) -> int:
        """Return the process id of its ffmpeg."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[-1])

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it, and return its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=_PATIENCE)

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=_PATIENCE)
        self._socket.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def publishing(ffmpeg: str, tmp_path: Path) -> Iterator[Publishing]:
    """Give a publisher that is not started yet, with a test pattern to publish."""
    assert ffmpeg
    found = Publishing(tmp_path)
    found.configure()
    yield found
    found.close()
