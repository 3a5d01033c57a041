"""CPU of a broadcast beside ffmpeg alone with the same settings; what the origin answers."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.bench.harness import Way, compare

from ec_closure import broadcast, broadcast_input
from ec_node.ffmpeg import command
from ec_node.ffmpeg.command import Program

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS = 60
_FILM = (
    "-hide_banner -loglevel error -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine=sample_rate=48000 "
    f"-t {_SECONDS} -c:v mpeg2video -b:v 8M -g 15 -c:a ac3"
)
_BROADCAST = """
name = "bench"
input = "file://{film}"
real_time = false
[video]
height = 720
[hls]
port = 18777
"""


def case(directory: Path, rounds: int) -> str:
    """Encode a film of a minute at 720p30, as a broadcast and by ffmpeg alone, as fast as it goes."""
    film = directory / "film.ts"
    subprocess.run(["ffmpeg", *_FILM.split(), film], check=True)
    (directory / "broadcast.toml").write_text(_BROADCAST.format(film=film))
    (directory / "ec-node.toml").write_text(f'state_dir = "{directory}/state"\n')
    described = broadcast.decode((directory / "broadcast.toml").read_bytes())
    source = broadcast_input.parse(described.input)
    bare = command.encode(Program(), described, source, command.address(source), progress=2)
    ours = [sys.executable, "-m", "ec_node", "publish", "--once", "--quiet"]
    ours += ["--broadcast", "broadcast.toml", "--config", "ec-node.toml"]

    def run(words: list[str]) -> None:
        subprocess.run(words, check=True, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return compare(
        f"Broadcast of {_SECONDS} s, 720p30",
        [Way("ec-node publish", lambda: run(ours)), Way("ffmpeg alone", lambda: run(bare))],
        rounds=rounds,
    )
