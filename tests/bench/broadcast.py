"""CPU of a broadcast beside ffmpeg alone with the same settings; what the origin answers."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.bench.harness import Way, compare, spent

from ec_closure import broadcast, broadcast_input
from ec_node.ffmpeg import command
from ec_node.ffmpeg.command import Program

_SECONDS = 60
_FILM = (
    "-hide_banner -loglevel error -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine=sample_rate=48000 "
    f"-t {_SECONDS} -c:v mpeg2video -b:v 8M -g 15 -c:a ac3"
)
_WARM = 15
_LIVE = """
name = "live"
input = "test:1280x720"
[hls]
port = 18776
"""
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

    whole = compare(
        f"Broadcast of {_SECONDS} s, 720p30",
        [Way("ec-node publish", lambda: run(ours)), Way("ffmpeg alone", lambda: run(bare))],
        rounds=rounds,
    )
    return whole + "\n" + live(directory)


def live(directory: Path) -> str:
    """Publish a test pattern as it plays, and tell what the publisher costs beside its ffmpeg once it runs."""
    (directory / "live.toml").write_text(_LIVE)
    words = [sys.executable, "-m", "ec_node", "publish", "--quiet", "--broadcast", "live.toml"]
    with subprocess.Popen([*words, "--config", "ec-node.toml"], cwd=directory, stderr=subprocess.DEVNULL) as publisher:
        time.sleep(_WARM)
        (child,) = Path(f"/proc/{publisher.pid}/task/{publisher.pid}/children").read_text().split()
        before = spent(publisher.pid), spent(int(child))
        time.sleep(_SECONDS)
        ours, ffmpeg = spent(publisher.pid) - before[0], spent(int(child)) - before[1]
        publisher.terminate()
    return (
        f"A live broadcast, 720p30, for {_SECONDS} s: ffmpeg {ffmpeg:.2f} s of a processor, ec-node beside it "
        f"{ours:.2f} s: {1 + ours / ffmpeg:.3f} x ffmpeg alone.\n"
    )
