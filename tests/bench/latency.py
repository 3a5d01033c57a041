"""`python -m tests.bench.latency [--segments N]`: from an input's frame to the segment that a player can fetch.

A source plays 720p30 in real time and writes into each picture its number, as black and white squares. It is sent as
MPEG-2 in a transport stream over UDP, as a tuner's gateway would, to `ec-node publish`. The playlist is asked for every
ten milliseconds; when a new segment is listed it is fetched and decoded, and the numbers of its first and last picture
say when they were given to the source's encoder. So that encoder's delay (about two pictures) is part of the figures.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.harness import quantile

from ec_node.media.playlist import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH, HEIGHT, RATE = 1280, 720, 30
BITS, SQUARE = 16, 16
_LUMA = WIDTH * HEIGHT
_SIZE = _LUMA * 3 // 2
_UDP, _PORT = 18778, 18779
_WARM = 3
_BROADCAST = f"""
name = "bench"
input = "udp://127.0.0.1:{_UDP}"
[video]
height = {HEIGHT}
[hls]
port = {_PORT}
"""
_PICTURES = f"-f lavfi -i testsrc2=size={WIDTH}x{HEIGHT}:rate={RATE} -pix_fmt yuv420p -f rawvideo pipe:1"
_STREAM = (
    f"-f rawvideo -pix_fmt yuv420p -s {WIDTH}x{HEIGHT} -r {RATE} -i pipe:0 -c:v mpeg2video -b:v 8M -g 15 -bf 0 "
    f"-muxdelay 0 -flush_packets 1 -f mpegts udp://127.0.0.1:{_UDP}?pkt_size=1316"
)
_QUIET = ("ffmpeg", "-hide_banner", "-loglevel", "error")


def numbered(picture: bytearray, number: int) -> None:
    """Write *number* into a *picture* of planar YUV: a row of squares, the highest bit first."""
    for bit in range(BITS):
        shade = b"\xeb" if number >> (BITS - 1 - bit) & 1 else b"\x10"
        for line in range(SQUARE):
            at = line * WIDTH + bit * SQUARE
            picture[at : at + SQUARE] = shade * SQUARE


def number(luma: bytes) -> int:
    """Read the number of a picture, from the middle of each square."""
    line = (SQUARE // 2) * WIDTH
    bright = (luma[line + bit * SQUARE + SQUARE // 2] > 0x80 for bit in range(BITS))
    return sum(one << (BITS - 1 - bit) for bit, one in enumerate(bright))


def play(given: list[float], ended: threading.Event) -> None:
    """Play pictures in real time; *given* gets the time at which each was written to the encoder."""
    with (
        subprocess.Popen([*_QUIET, *_PICTURES.split()], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as pictures,
        subprocess.Popen([*_QUIET, *_STREAM.split()], stdin=subprocess.PIPE) as stream,
    ):
        if pictures.stdout is None or stream.stdin is None:
            raise RuntimeError("no pipes")
        begun = time.monotonic()
        for count in range(1 << BITS):
            picture = bytearray(pictures.stdout.read(_SIZE))
            numbered(picture, count)
            if ended.wait(max(0.0, begun + count / RATE - time.monotonic())):
                break
            given.append(time.monotonic())
            stream.stdin.write(picture)
            stream.stdin.flush()
        stream.stdin.close()
        pictures.terminate()


@contextmanager
def source() -> Iterator[list[float]]:
    """Play as long as the block lasts; the list says when each picture was given."""
    given: list[float] = []
    ended = threading.Event()
    player = threading.Thread(target=play, args=(given, ended))
    player.start()
    try:
        yield given
    finally:
        ended.set()
        player.join()


@contextmanager
def publisher(directory: Path) -> Iterator[None]:
    """Publish as long as the block lasts."""
    (directory / "broadcast.toml").write_text(_BROADCAST)
    (directory / "ec-node.toml").write_text(f'state_dir = "{directory}/state"\n')
    words = ["-m", "ec_node", "publish", "--broadcast", "broadcast.toml", "--config", "ec-node.toml", "--quiet"]
    with subprocess.Popen([sys.executable, *words], cwd=directory, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def fetched(name: str) -> bytes | None:
    """Fetch a file of the broadcast; None while there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", _PORT, timeout=10)
    try:
        connection.request("GET", f"/bench/{name}")
        answer = connection.getresponse()
        body = answer.read()
    except ConnectionRefusedError:
        return None
    finally:
        connection.close()
    return body if answer.status == 200 else None


def pictures(head: bytes, segment: bytes) -> list[int]:
    """Return the numbers of the pictures in a *segment*."""
    words = [*_QUIET, "-i", "pipe:0", "-f", "rawvideo", "-pix_fmt", "gray", "pipe:1"]
    raw = subprocess.run(words, input=head + segment, capture_output=True, check=True).stdout
    return [number(raw[at : at + (SQUARE * WIDTH)]) for at in range(0, len(raw), _LUMA)]


def segments(count: int, until: float) -> Iterator[tuple[float, list[int]]]:
    """Yield, for *count* segments, when each could be fetched, and the numbers of its pictures."""
    newest, heads = -1, dict[str, bytes]()
    while count > 0 and time.monotonic() < until:
        time.sleep(0.01)
        text = fetched("index.m3u8")
        entries = dict(enumerate((found := parse(text.decode())).entries, found.sequence)) if text else {}
        # What was listed before anybody asked is no measure: of the first answer, its last entry alone.
        for at in sorted(entries)[0 if newest >= 0 else -1 :]:
            if at <= newest:
                continue
            newest, entry = at, entries[at]
            segment, now = fetched(entry.uri), time.monotonic()
            head = heads.get(entry.head) or fetched(entry.head)
            if segment is None or head is None:
                raise RuntimeError(f"{entry.uri} is listed, and not there")
            heads[entry.head] = head
            count -= 1
            yield now, pictures(head, segment)
    if count > 0:
        raise RuntimeError("the broadcast ended")


def run(directory: Path, count: int) -> str:
    """Measure *count* segments, and return a table in Markdown."""
    first, last, seen = list[float](), list[float](), list[int]()
    with source() as given, publisher(directory):
        for now, found in itertools.islice(segments(count + _WARM, time.monotonic() + 10 * count), _WARM, None):
            first.append(now - given[found[0]])
            last.append(now - given[found[-1]])
            seen += found
    lines = ["| picture of a segment of 2 s | median ms | 95 % ms | most ms |", "| --- | ---: | ---: | ---: |"]
    lines += [
        f"| {name} | {statistics.median(ages) * 1000:.0f} | {quantile(ages, 0.95):.0f} | {max(ages) * 1000:.0f} |"
        for name, ages in (("the first", first), ("the last", last))
    ]
    missing = seen[-1] - seen[0] + 1 - len(set(seen))
    lines.append(f"\n{count} segments, {len(seen)} pictures; {missing} missing, {len(seen) - len(set(seen))} twice.")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.latency", description=__doc__)
    parser.add_argument("--segments", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ec-bench-") as room:
        sys.stdout.write(run(Path(room), options.segments))


if __name__ == "__main__":
    main()
