"""`python -m tests.bench.viewers URL [--viewers N] [--seconds S] [--pid PID]`: so many viewers of one playlist.

Each asks for the playlist every two seconds, at a moment of its own, and fetches what is new, over one connection. Told
are times from request to last byte, and the processor time of the origin PID.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlsplit

from tests.bench.harness import quantile, spent

from ec_node.media.playlist import parse

_PERIOD = 2.0
_LATE = 6.0


@dataclass
class Told:
    """Seconds of each request, by what was asked for; how often a viewer would have run dry."""

    playlists: list[float] = field(default_factory=list)
    segments: list[float] = field(default_factory=list)
    sent: int = 0
    stalls: int = 0
    errors: int = 0


class Viewer:
    """One viewer."""

    def __init__(self, url: str, told: Told) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.directory, _, self.name = parts.path.rpartition("/")
        self.told = told
        self.newest = -1

    async def watch(self, first: float, until: float) -> None:
        """Watch from *first* to *until*, seconds of the monotonic clock."""
        await asyncio.sleep(first - time.monotonic())
        reader, writer = await asyncio.open_connection(self.host, self.port)
        fed = time.monotonic()
        while time.monotonic() < until:
            begun = time.monotonic()
            text = await self._get(reader, writer, self.name, self.told.playlists)
            found = parse(text.decode())
            fresh = list(enumerate(found.entries, found.sequence))[-1:] if self.newest < 0 else None
            for number, entry in fresh or enumerate(found.entries, found.sequence):
                if number > self.newest:
                    await self._get(reader, writer, entry.uri, self.told.segments)
                    self.newest = number
                    fed = time.monotonic()
            if time.monotonic() - fed > _LATE:
                self.told.stalls += 1
                fed = time.monotonic()
            await asyncio.sleep(max(0.0, begun + _PERIOD - time.monotonic()))
        writer.close()

    async def _get(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, times: list[float]
    ) -> bytes:
        begun = time.monotonic()
        writer.write(f"GET {self.directory}/{name} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        self.told.errors += not head.startswith(b"HTTP/1.1 200")
        self.told.sent += len(body)
        times.append(time.monotonic() - begun)
        return body


def _line(name: str, times: list[float]) -> str:
    shown = (quantile(times, share) for share in (0.5, 0.99, 1))
    return f"| {name} | {len(times)} | " + " | ".join(f"{one:.0f}" for one in shown) + " |"


async def _all(url: str, count: int, seconds: float) -> Told:
    told, random = Told(), Random(1)  # noqa: S311 - to be repeated
    begun = time.monotonic() + 1
    viewers = [Viewer(url, told).watch(begun + random.uniform(0, _PERIOD), begun + seconds) for _ in range(count)]
    await asyncio.gather(*viewers)
    return told


def main() -> int:
    """Watch, and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.viewers", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--viewers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--pid", type=int, required=True)
    options = parser.parse_args()
    before = spent(options.pid)
    told = asyncio.run(_all(options.url, options.viewers, options.seconds))
    work = (spent(options.pid) - before) / options.seconds
    lines = ["| request | count | median ms | 99 % ms | most ms |", "| --- | ---: | ---: | ---: | ---: |"]
    lines += [_line("playlist", told.playlists), _line("segment", told.segments)]
    lines.append(
        f"\n{options.viewers} viewers for {options.seconds:.0f} s, {told.sent * 8 / options.seconds / 1e6:.0f} Mbit/s: "
        f"{told.stalls} stalls, {told.errors} errors; the origin took {work:.2f} processors."
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
