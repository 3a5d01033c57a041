"""Killing runs at random moments, filling their disk, making it read-only; and looking at what is left each time."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import msgspec

from ec_closure import dsse, intoto, report
from ec_closure.store_db import StoreDatabase
from ec_verify.commands.status import last_run
from ec_verify.demo.programs import environment
from ec_verify.report.submit import Spool
from ec_verify.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from ec_verify.demo.lab import Lab
    from ec_verify.demo.node import Node

Kind = Literal["process", "group", "child", "full", "read-only"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_SIZE = "96m"
_PATIENCE = 60.0


class LostError(AssertionError):
    """Something that must survive did not, or something stayed that must not."""


@dataclass
class Tally:
    """What was done, by kind and by the stage that was last announced, and how long a whole run takes in seconds."""

    kinds: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    exits: Counter[str] = field(default_factory=Counter)
    duration: float = 0.0
    complete: int = 0

    def table(self) -> str:
        """Return the figures as Markdown."""
        lines = ["| stage | kills |", "| --- | ---: |"]
        lines += [f"| {stage} | {count} |" for stage, count in self.stages.most_common()]
        lines += ["", "| kind | kills | exit codes |", "| --- | ---: | --- |"]
        for kind, count in sorted(self.kinds.items()):
            exits = ", ".join(
                f"{n} of {key.split()[1]}" for key, n in sorted(self.exits.items()) if key.split()[0] == kind
            )
            lines.append(f"| {kind} | {count} | {exits} |")
        return "\n".join([*lines, "", f"{self.complete} whole runs in between, {self.duration:.1f} s each"])


class Victim:
    """One node whose state lies on a small file system of its own, and all that was ever seen of its state."""

    def __init__(self, lab: Lab, node: Node) -> None:
        self.node = node
        self.tally = Tally()
        self._programs = lab.programs
        self._lab = lab
        self._reports: dict[str, str] = {}
        self._key = ""
        self._store = _fingerprint(node.root)
        self._temporary = node.directory / "tmp"

    @contextlib.contextmanager
    def prepared(self) -> Iterator[None]:
        """Mount the state's file system; on the way out, take it away again."""
        self._temporary.mkdir()
        with self.node.config.open("a") as file:
            file.write("\n[report]\nkeep = 100000\n")  # a report that is pruned is none that was lost
        self._mount("mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=0700", "ec-chaos", str(self.node.state))
        try:
            yield
        finally:
            self._mount("umount", str(self.node.state))

    def whole_run(self) -> None:
        """Let a run end by itself: it must pass, and sweep what others left. Raises `LostError`."""
        begun = time.monotonic()
        process = self._start()
        _, said = process.communicate()
        self.tally.duration = time.monotonic() - begun
        self.tally.complete += 1
        _hold(
            process.returncode == 0,
            f"a whole run ended with {process.returncode}: {said[-2000:].decode(errors='replace')}",
        )
        self._look()
        _hold(not list((self.node.state / "scratch").iterdir()), "scratch of killed runs was not swept")
        litter = [str(file) for file in self.node.state.rglob(".*") if file.is_file()]
        _hold(not litter, f"half-written files were not swept: {litter[:5]}")

    def strike(self, kind: Kind, moment: float, random: Random) -> None:
        """Start a run, do what *kind* says after *moment* seconds, and look. Raises `LostError`."""
        process = self._start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        with self._struck(kind, process, random):
            try:
                _, said = process.communicate(timeout=_PATIENCE)
            except subprocess.TimeoutExpired as error:
                raise LostError(f"after {kind}, the run did not end within {_PATIENCE} s") from error
        stages = [
            line
            for line in said.decode(errors="replace").splitlines()
            if line.startswith(("trust:", "bytes:", "source:", "rebuild:"))
        ]
        self.tally.kinds[kind] += 1
        self.tally.stages[stages[-1].partition(":")[0] if stages else "start"] += 1
        self.tally.exits[f"{kind} {process.returncode}"] += 1
        self._look()

    @contextlib.contextmanager
    def _struck(self, kind: Kind, process: subprocess.Popen[bytes], random: Random) -> Iterator[None]:
        filler = self.node.state / "filler"
        match kind:
            case "process":
                process.kill()
                yield
            case "group":
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                yield
            case "child":
                if children := _descendants(process.pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(random.choice(children), signal.SIGKILL)
                yield
            case "full":
                with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                    while True:
                        file.write(bytes(1 << 16))
                try:
                    yield
                finally:
                    filler.unlink()
            case "read-only":
                # Refused while a file is open for writing: then it stays as it is, as on a machine.
                self._programs.attempt(["mount", "-o", "remount,ro", self.node.state])
                try:
                    yield
                finally:
                    self._mount("mount", "-o", "remount,rw", str(self.node.state))

    def _start(self) -> subprocess.Popen[bytes]:
        # The words a terminal's user would type; a session of its own, so that the whole group can be killed.
        command = [sys.executable, "-m", "ec_verify", "run", "--config", str(self.node.config), "--level", "full"]
        variables = {**environment(self.node.directory / "home", ""), "TMPDIR": str(self._temporary)}
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=variables, start_new_session=True
        )

    def _mount(self, *argv: str) -> None:
        self._programs.run(list(argv))

    def _look(self) -> None:
        """Hold what is left against what was there before."""
        needles = (str(self.node.config), str(self.node.state / "scratch" / "ghost-"))
        _hold(_gone(needles), f"processes stayed: {_mentions(needles)}")
        _hold(needles[1] not in Path("/proc/self/mountinfo").read_text(), "a mount stayed")
        state = State(self.node.state)
        last_run(state)
        keys = state.path / "keys" / "node.pem"
        if keys.exists():
            text = keys.read_text()
            _hold(self._key in ("", text), "the key changed")
            self._key = text
            self._reports_stand(state)
        _hold(all(msgspec.json.decode(file.read_bytes()) for file in Spool(state.path / "spool").waiting()), "spool")
        _hold(_fingerprint(self.node.root) == self._store, "the store changed")

    def _reports_stand(self, state: State) -> None:
        key = state.key().public_key
        found: dict[str, str] = {}
        counters = []
        for file in sorted((state.path / "reports").glob("*.report.json")):
            data = file.read_bytes()
            found[file.name] = hashlib.sha256(data).hexdigest()
            if file.name not in self._reports:
                payload = dsse.verify(data, intoto.PAYLOAD_TYPE, [key])
                _hold(report.decode(payload).predicate.counter == int(file.name[:10]), "a counter of another report")
            counters.append(int(file.name[:10]))
        _hold(found.items() >= self._reports.items(), "a report changed or vanished")
        _hold(len(counters) == len(set(counters)), "a counter was used twice")
        _hold(max(counters, default=0) <= int(state.read("counter") or 0), "the counter went back")
        self._reports = found


def _hold(condition: bool, what: str) -> None:  # noqa: FBT001 - it reads as an assertion
    if not condition:
        raise LostError(what)


def _descendants(pid: int) -> list[int]:
    found, todo = [], [pid]
    while todo:
        for task in Path(f"/proc/{todo.pop()}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                below = list(map(int, task.read_text().split()))
                found += below
                todo += below
    return found


def _mentions(needles: tuple[str, ...]) -> list[str]:
    """Return the processes whose command line or mounts name one of *needles*, but for ourselves."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            texts = [(process / name).read_bytes() for name in ("cmdline", "mountinfo")]
            if any(needle.encode() in text for text in texts for needle in needles):
                found.append(process.name)
    return found


def _gone(needles: tuple[str, ...]) -> bool:
    """Wait, for as long as processes that were killed take to be reaped, until nothing names *needles*."""
    import select

    for name in _mentions(needles):
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(int(name))
            select.select([descriptor], [], [], 30)
            os.close(descriptor)
    return not _mentions(needles)


def _fingerprint(root: Path) -> str:
    """Return a digest of the store: everything lstat tells of each entry but when it was read, and the database."""
    hasher = hashlib.sha256()
    store = root / "nix/store"
    for path in sorted([store, *store.rglob("*")]):
        status = path.lstat()
        hasher.update(
            repr((str(path), status.st_ino, status.st_mode, status.st_nlink, status.st_uid, status.st_size)).encode()
        )
        hasher.update(repr((status.st_mtime_ns, status.st_ctime_ns)).encode())
    with StoreDatabase.open(root / "nix/var/nix"), contextlib.closing(sqlite3.connect(":memory:")) as copy:
        with contextlib.closing(sqlite3.connect(f"file:{root}/nix/var/nix/db/db.sqlite?mode=ro", uri=True)) as real:
            real.backup(copy)
        hasher.update("\n".join(copy.iterdump()).encode())
    return hasher.hexdigest()
