"""Publishing gigabytes to a forge on the loopback, beside curl that uploads the same files to it; memory, too."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIZES = (2 << 30, 768 << 20, 256 << 20)
_MIB = 1 << 20
_CHUNK = 8 << 20
_PROGRAM = """
import sys
from ec_release.main import run
code = run(sys.argv[1:])
sys.stderr.write(open("/proc/self/status").read())
sys.exit(code)
"""
# Both ways upload as many times as there are rounds; more would only fill the disk.
_MOST_ROUNDS = 3


@dataclass
class Measured:
    """What one way took, a round each: seconds of everything, seconds of the uploads alone, most memory in bytes."""

    seconds: list[float] = field(default_factory=list)
    uploading: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    work: list[float] = field(default_factory=list)

    def row(self, name: str, size: int) -> str:
        """Return a row of the table."""
        speed = size / statistics.median(self.uploading) / _MIB
        memory = f"{max(self.memory) / _MIB:.0f}" if self.memory else "-"
        return (
            f"| {name} | {statistics.median(self.uploading):.1f} | {speed:.0f} | "
            f"{statistics.median(self.seconds):.1f} | {statistics.median(self.work):.1f} | {memory} |"
        )


def case(directory: Path, rounds: int) -> str:
    """Return figures: each round publishes with `ec-release`, then uploads with curl, to a forge of its own."""
    files = list(_files(directory / "files"))
    size = sum(path.stat().st_size for path in files)
    # What was written must not be on its way to the disk still while others read and write.
    os.sync()
    ours, curls = Measured(), Measured()
    counted = min(rounds, _MOST_ROUNDS)
    with tempfile.TemporaryDirectory(prefix="ec-bench-forge-", dir=_room(directory, size)) as room:
        for number in range(counted):
            with _forge(Path(room) / f"forge-{number}") as forge:
                _publish(forge, directory / f"keys-{number}", files, ours)
            with _forge(Path(room) / f"peer-{number}") as forge:
                _curl(forge, files, curls)
    ratio = statistics.median(curls.uploading) / statistics.median(ours.uploading)
    lines = [
        f"### Publishing {size / _MIB:.0f} MiB in {len(files)} files, {counted} rounds",
        "",
        "| way | uploads s | MiB/s | all s | processor s | most memory MiB |",
        "| --- | --- | --- | --- | --- | --- |",
        ours.row("ec-release publish; all: hashed, uploaded, read back, published, signed", size),
        curls.row("curl, a file after the other", size),
        "",
        f"Throughput of uploads: {ratio:.2f} x curl; the target is 0.80 x. Memory: the target is below 200 MiB.",
    ]
    return "\n".join(lines) + "\n"


def _room(directory: Path, size: int) -> Path:
    """Return where the forge keeps its files: in memory where there is room, so that no disk is measured."""
    memory = Path("/dev/shm")  # noqa: S108 - a directory of its own is made in it
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > 2 * size else directory


def _files(directory: Path) -> Iterator[Path]:
    """Write files that no two chunks of are the same, and yield them."""
    directory.mkdir()
    for number, size in enumerate(_SIZES):
        path = directory / f"image-{number}.img"
        seed = hashlib.sha256(str(number).encode()).digest() * (_CHUNK // 32)
        with path.open("wb") as file:
            for chunk in range(size // _CHUNK):
                file.write(chunk.to_bytes(8, "big") + seed[8:])
        yield path


class _forge:  # noqa: N801 - used as a function
    """A forge in a process of its own, whose directory is removed with it; `url`, and `uploads` with their seconds."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __enter__(self) -> Self:
        program = [sys.executable, "-m", "tests.bench.forge", str(self._directory)]
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self.uploading()

    def uploading(self) -> float:
        """End the forge; return the seconds that it spent on uploads."""
        if self._process.poll() is None:
            said, _ = self._process.communicate("")
            self._seconds = float(said)
        return self._seconds


def _publish(forge: _forge, keys: Path, files: list[Path], measured: Measured) -> None:
    from tests.ec_release.forge.server import REPOSITORY, TOKEN

    environment = {
        "PATH": os.environ["PATH"],
        "GITHUB_SERVER_URL": forge.url,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_TOKEN": TOKEN,
    }
    program = [sys.executable, "-c", _PROGRAM]
    subprocess.run([*program, "trust", "init", "--keys", keys], env=environment, check=True, capture_output=True)
    words = ["publish", "--tag", "v1", "--version", "1", "--keys", keys, "--assets", *files]
    _measure([*program, *map(str, words)], environment, measured)
    measured.uploading.append(forge.uploading())


def _curl(forge: _forge, files: list[Path], measured: Measured) -> None:
    from tests.ec_release.forge.server import REPOSITORY, TOKEN

    api = f"{forge.url}/api/v1/repos/{REPOSITORY}/releases"
    header = ["-H", f"Authorization: token {TOKEN}"]
    made = '{"tag_name": "v1", "name": "v1", "draft": true}'
    subprocess.run(
        ["curl", "-sS", "-f", *header, "-H", "Content-Type: application/json", "-d", made, api],
        check=True,
        capture_output=True,
    )
    # `Expect` would wait for a word from the server that it does not give before each file.
    uploads = [
        ["curl", "-sS", "-f", "-o", os.devnull, *header, "-H", "Expect:", "-F",
         f"attachment=@{path};type=application/octet-stream", f"{api}/1/assets?name={path.name}"]
        for path in files
    ]  # fmt: skip
    one = Measured()
    for upload in uploads:
        _measure(upload, dict(os.environ), one)
    measured.seconds.append(sum(one.seconds))
    measured.work.append(sum(one.work))
    measured.uploading.append(forge.uploading())


def _measure(command: list[str], environment: dict[str, str], measured: Measured) -> None:
    """Run a program; note its seconds, those of processors, and the most memory if it tells that."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {said.decode(errors='replace')[-500:]}")
    measured.seconds.append(time.perf_counter() - begun)
    measured.work.append(used.ru_utime + used.ru_stime)
    # Of the process itself: what the system tells of a child counts what its parent held when it began.
    if match := re.search(rb"VmHWM:\s+(\d+) kB", said):
        measured.memory.append(int(match[1]) << 10)
