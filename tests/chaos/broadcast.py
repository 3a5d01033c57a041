"""`python -m tests.chaos.broadcast [--strikes N] [--seed N]`: a broadcast is struck while it is watched.

At random moments ffmpeg is killed or stopped, the input is cut or falls silent, the publisher itself is killed and
started again. Playlists are fetched all the time; each must be valid, go on from the one before, and list only what can
be fetched.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Literal, get_args

from ec_node.media.playlist import parse

if TYPE_CHECKING:
    from ec_node.media.playlist import MediaPlaylist

Kind = Literal["kill", "stop", "cut", "silent", "self"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_PATIENCE = 60.0
_FILM = (
    "-hide_banner -loglevel error -f lavfi -i testsrc2=size=320x180:rate=10 -f lavfi -i sine=sample_rate=48000 -t 600 "
    "-c:v mpeg2video -b:v 300k -g 10 -c:a ac3"
)
_BROADCAST = """
name = "struck"
input = "http://127.0.0.1:{tuner}/auto/v4.1"
stall = 2
[video]
bitrate = 200
frame_rate = "10"
preset = "ultrafast"
[hls]
segment = 1
window = 20
port = {port}
"""
_CONFIG = """
state_dir = "{state}"
[supervision]
start = 20
grace = 1
backoff_cap = 1
"""


class LostError(AssertionError):
    """A playlist was not what players may rely on."""


class Tuner(ThreadingHTTPServer):
    """Sends a film four times as fast as it plays; *mood* says whether it hangs up or is silent."""

    daemon_threads = True

    def __init__(self, film: Path, seconds: float) -> None:
        super().__init__(("127.0.0.1", 0), _Tuning)
        self.film = film
        self.rate = 4 * film.stat().st_size / seconds
        self.mood = ""


class _Tuning(BaseHTTPRequestHandler):
    server: Tuner

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.server.mood = ""
        with self.server.film.open("rb") as film, contextlib.suppress(OSError):
            while (data := film.read(int(self.server.rate / 20))) and self.server.mood != "cut":
                if self.server.mood == "silent":
                    time.sleep(6)
                    return
                self.wfile.write(data)
                time.sleep(1 / 20)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Viewer(threading.Thread):
    """Fetches the playlist ten times a second, and what is new in it; remembers what would break a player."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.base = f"http://127.0.0.1:{port}/struck/"
        self.troubles: list[str] = []
        self.fetched = 0
        self.playlists = 0
        self.newest = -1
        self.over = False
        self._numbers: dict[str, tuple[int, int]] = {}

    def run(self) -> None:
        """Watch until told to stop."""
        while not self.over:
            time.sleep(0.1)
            with contextlib.suppress(urllib.error.URLError, HTTPException, ConnectionError, TimeoutError):
                self._look(self._get("index.m3u8").decode())

    def _look(self, text: str) -> None:
        try:
            found = parse(text)
        except ValueError as error:
            self.troubles.append(str(error))
            return
        self.playlists += 1
        self._compare(found)
        for number, entry in enumerate(found.entries, found.sequence):
            if number > self.newest:
                for name in (entry.head, entry.uri):
                    try:
                        self._get(name)
                    except urllib.error.HTTPError as error:
                        self.troubles.append(f"{name} is listed: {error}")
                self.newest = number
                self.fetched += 1

    def _compare(self, found: MediaPlaylist) -> None:
        discontinuity = found.discontinuity_sequence
        if found.entries and found.sequence + len(found.entries) - 1 < self.newest:
            self.troubles.append(f"goes back from {self.newest}")
        for number, entry in enumerate(found.entries, found.sequence):
            discontinuity += entry.discontinuity
            if self._numbers.setdefault(entry.uri, (number, discontinuity)) != (number, discontinuity):
                self.troubles.append(f"{entry.uri} has other numbers than before")

    def _get(self, name: str) -> bytes:
        with urllib.request.urlopen(self.base + name, timeout=5) as answer:  # noqa: S310 - loopback
            return bytes(answer.read())


class Struck:
    """A publisher that is struck."""

    def __init__(self, directory: Path, tuner: Tuner, port: int) -> None:
        self.directory = directory
        self.tuner = tuner
        self.viewer = Viewer(port)
        self.tally: Counter[str] = Counter()
        (directory / "broadcast.toml").write_text(_BROADCAST.format(tuner=tuner.server_port, port=port))
        (directory / "ec-node.toml").write_text(_CONFIG.format(state=directory / "state"))
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Start it."""
        words = [
            sys.executable,
            "-m",
            "ec_node",
            "publish",
            "--broadcast",
            "broadcast.toml",
            "--config",
            "ec-node.toml",
        ]
        with (self.directory / "log").open("a") as log:
            return subprocess.Popen(words, stderr=log, cwd=self.directory)

    def strike(self, kind: Kind) -> None:
        """Strike, and wait for three further segments. Raises `LostError` when none come, or a viewer had trouble."""
        match kind:
            case "kill" | "stop":
                children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
                for child in children:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(child), signal.SIGKILL if kind == "kill" else signal.SIGSTOP)
            case "cut" | "silent":
                self.tuner.mood = kind
            case "self":
                self.process.kill()
                self.process.wait()
                self.process = self.start()
        self.tally[kind] += 1
        self.wait(3)

    def wait(self, count: int) -> None:
        """Wait until the viewer has fetched *count* segments more."""
        wanted, begun = self.viewer.fetched + count, time.monotonic()
        while self.viewer.fetched < wanted:
            if not self.viewer.is_alive():
                raise LostError("the viewer has ended")
            if self.viewer.troubles or time.monotonic() - begun > _PATIENCE:
                said = (self.directory / "log").read_text()[-3000:]
                raise LostError(f"{self.viewer.troubles or 'nothing came'}\n{said}")
            if self.process.poll() is not None:
                raise LostError(f"the publisher ended with {self.process.returncode}")
            time.sleep(0.02)

    def memory(self) -> int:
        """Return the publisher's resident memory in KiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])


def main() -> int:
    """Strike, and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.broadcast", description=__doc__)
    parser.add_argument("--strikes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random = Random(options.seed)  # noqa: S311 - to be repeated
    with tempfile.TemporaryDirectory(prefix="ec-chaos-") as room:
        film = Path(room) / "film.ts"
        subprocess.run(["ffmpeg", *_FILM.split(), film], check=True)
        with Tuner(film, 600) as tuner, socket.socket() as probe:
            threading.Thread(target=tuner.serve_forever, daemon=True).start()
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
            probe.close()
            struck = Struck(Path(room), tuner, port)
            try:
                struck.viewer.start()
                struck.wait(3)
                before = struck.memory()
                for number in range(options.strikes):
                    kind = random.choice(KINDS)
                    time.sleep(random.uniform(0, 1))
                    sys.stderr.write(f"{number + 1}: {kind}\n")
                    struck.strike(kind)
                    if number % 10 == 9:
                        subprocess.run(["ffprobe", "-v", "error", struck.viewer.base + "index.m3u8"], check=True)
                after = struck.memory()
            finally:
                struck.viewer.over = True
                struck.process.terminate()
                struck.process.wait()
            tuner.shutdown()
    sys.stdout.write(
        f"{options.strikes} strikes ({', '.join(f'{count} {kind}' for kind, count in sorted(struck.tally.items()))}): "
        f"{struck.viewer.playlists} playlists and {struck.viewer.fetched} segments, all in order; "
        f"memory {before} KiB at the beginning, {after} KiB at the end\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
