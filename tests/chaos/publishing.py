"""Killing publishers at random moments, on a forge; what readers see each time, and what is there in the end."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.ec_release.forge.server import REPOSITORY, TOKEN, Forge

from ec_fetch.client import TrustClient, TrustSettings

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

_SIZE = 32 << 20
_PATIENCE = 120.0


class LostError(AssertionError):
    """A reader saw half a release, or the release is another than was to be published."""


@dataclass
class Tally:
    """Where publishers were when they were killed, by the last change that they asked for; *duration* in seconds."""

    kills: Counter[str] = field(default_factory=Counter)
    completed: int = 0
    duration: float = 0.0

    def table(self) -> str:
        """Return the figures as Markdown."""
        lines = ["| killed after the request | kills |", "| --- | ---: |"]
        lines += [f"| {what} | {count} |" for what, count in self.kills.most_common()]
        whole = (
            f"{self.completed} releases published in between; "
            f"an undisturbed run takes {self.duration:.1f} s from its first request on"
        )
        return "\n".join([*lines, "", whole])


class Publisher:
    """`ec-release publish` on *forge*, with files below *directory*; *random* chooses their bytes and the moments."""

    def __init__(self, forge: Forge, directory: Path, random: Random) -> None:
        self.forge = forge
        self.tally = Tally()
        self._directory = directory
        self._random = random
        self._keys = directory / "keys"
        self._release = 0
        self._new_release()

    def begin(self) -> None:
        """Make the repository, and publish one release undisturbed."""
        self._whole("trust", "init", "--keys", str(self._keys))
        process = self._start(*self._words())
        self._await_request(process)
        begun = time.monotonic()
        process.communicate(timeout=_PATIENCE)
        self.tally.duration = time.monotonic() - begun
        self._look(complete=True)
        self._new_release()

    def strike(self) -> None:
        """Start publishing, kill it at a random moment, and look. When it was through before, go on to the next."""
        asked = len(self.forge.seen)
        process = self._start(*self._words())
        self._await_request(process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self._random.uniform(0, self.tally.duration * 1.1))
        process.kill()
        _, said = process.communicate(timeout=_PATIENCE)
        if process.returncode == 0:
            self._look(complete=True)
            self.tally.completed += 1
            self._new_release()
            return
        if process.returncode > 0:
            raise LostError(f"failed with {process.returncode}: {said.decode(errors='replace')[-2000:]}")
        changes = [what for what in map(_named, self.forge.seen[asked:]) if what]
        self.tally.kills[changes[-1] if changes else "none that changes anything"] += 1
        self._look(complete=False)

    def end(self) -> None:
        """Publish what was not through, and look at everything."""
        self._whole(*self._words())
        self._look(complete=True)
        for release in self.forge.state.releases.values():
            names = [asset["name"] for asset in release["assets"]]
            _hold(len(names) == len(set(names)), f"assets are there twice: {names}")
            _hold(not any(name.startswith("lock.") or name.endswith(".next") for name in names), f"litter: {names}")
            _hold(not release["draft"], "a draft stayed")
        _hold(self.forge.violations == [], f"requests that are not described: {self.forge.violations}")

    def _new_release(self) -> None:
        self._release += 1
        files = self._directory / f"v{self._release}"
        files.mkdir()
        (files / "disk.img").write_bytes(self._random.randbytes(_SIZE))
        for name in ("initrd", "kernel"):
            (files / name).write_bytes(self._random.randbytes(1 << 20))

    def _files(self, release: int) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((self._directory / f"v{release}").iterdir())}

    def _words(self) -> list[str]:
        number = self._release
        assets = [str(path) for path in sorted((self._directory / f"v{number}").iterdir())]
        named = ["--tag", f"v{number}", "--version", str(number)]
        return ["publish", *named, "--keys", str(self._keys), "--assets", *assets]

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        environment = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "TMPDIR": str(self._directory),
            "GITHUB_SERVER_URL": self.forge.url,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_TOKEN": TOKEN,
        }
        program = [sys.executable, "-c", "from ec_release.main import main; main()"]
        return subprocess.Popen(
            [*program, *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )

    def _await_request(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until *process* asks for something, or ends: what it does before changes nothing."""
        asked = len(self.forge.seen)
        while len(self.forge.seen) == asked and process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.005)

    def _whole(self, *words: str) -> None:
        process = self._start(*words)
        _, said = process.communicate(timeout=_PATIENCE)
        _hold(process.returncode == 0, f"ended with {process.returncode}: {said.decode(errors='replace')[-2000:]}")

    def _look(self, *, complete: bool) -> None:
        """Look as a reader does: what is public is whole, and the newest release is this one or the one before."""
        tree = self.forge.state.tree()
        for number in range(1, self._release + 1):
            public = {name.partition("/")[2]: data for name, data in tree.items() if name.startswith(f"v{number}/")}
            if not public:
                _hold(number == self._release and not complete, f"release {number} is not there")
                continue
            sums = public.pop("SHA256SUMS", b"")
            public.pop("SHA256SUMS.sig", None)
            _hold(public == self._files(number), f"release {number} is another than was published")
            _hold(all(name in sums.decode() for name in public), "check sums of other files")
        if "trust/timestamp.json" in tree:
            base = f"{self.forge.url}/{REPOSITORY}/releases/download/"
            root = (self._keys / "root.json").read_bytes()
            settings = TrustSettings(f"{base}trust/", base, root, self._directory / "reader")
            latest = TrustClient(settings, reference_time=datetime.now(UTC)).refresh().latest_version
            _hold(
                latest in ((self._release,) if complete else (self._release - 1, self._release)), f"latest is {latest}"
            )
        else:
            _hold(not complete, "there is no timestamp")


def _named(request: tuple[str, str, dict[str, str]]) -> str:
    """Return what a request changes, in words; nothing for one that only looks."""
    method, target, _ = request
    kind = "release" if "/assets" not in target else "asset"
    if method == "POST" and "name=" in target:
        name = target.rpartition("name=")[2]
        return "POST " + ("lock" if name.startswith("lock.") else name)
    return "" if method == "GET" else f"{method} {kind}"


def _hold(condition: bool, what: str) -> None:  # noqa: FBT001 - it reads as an assertion
    if not condition:
        raise LostError(what)


def main(directory: Path, kills: int, random: Random) -> str:
    """Kill *kills* publishers that were not through yet; return the figures. Raises `LostError`."""
    from tests.ec_release.forge.server import serving

    (directory / "files").mkdir()
    with serving(directory / "forge") as forge:
        publisher = Publisher(forge, directory / "files", random)
        publisher.begin()
        while publisher.tally.kills.total() < kills:
            publisher.strike()
            sys.stderr.write(f"{publisher.tally.kills.total()} of {kills}\n")
        publisher.end()
        return publisher.tally.table()
