"""Who holds the lock: a run of CI and a process, and how to tell that one is over. Reads /proc of this machine."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXT = re.compile(
    r"(?P<run>[a-z0-9-]{1,80})\.(?P<attempt>[0-9]{1,9})\.(?P<machine>[0-9a-f]{16})\.(?P<process>[0-9]{1,19})\.(?P<started>[0-9]{1,19})"
)
_START_FIELD = 19  # of /proc/PID/stat, counted after the name in parentheses: field 22 of the whole


@dataclass(frozen=True)
class Holder:
    """A publisher: *run* of CI (`none` outside) with its *attempt*, *machine* (a digest), *process* and its start."""

    run: str
    attempt: int
    machine: str
    process: int
    started: int

    @classmethod
    def ours(cls, environment: Mapping[str, str]) -> Holder:
        """Return this process, with what *environment* says about the run of CI that it belongs to."""
        number, job = environment.get("GITHUB_RUN_ID", ""), environment.get("GITHUB_JOB", "")
        run = re.sub(r"[^a-z0-9-]", "-", f"{number}-{job}".lower())[:80] if number else "none"
        attempt = environment.get("GITHUB_RUN_ATTEMPT", "0")
        process = os.getpid()
        return cls(
            run,
            int(attempt[:9]) if attempt.isascii() and attempt.isdigit() else 0,
            _machine(),
            process,
            _started(process) or 0,
        )

    @classmethod
    def parse(cls, text: str) -> Holder | None:
        """Return the holder that *text* names, None when it names none."""
        match = _TEXT.fullmatch(text)
        if match is None:
            return None
        return cls(match["run"], int(match["attempt"]), match["machine"], int(match["process"]), int(match["started"]))

    def __str__(self) -> str:
        """Return the text that `parse` reads: letters, digits, dots and hyphens."""
        return f"{self.run}.{self.attempt}.{self.machine}.{self.process}.{self.started}"

    @property
    def described(self) -> str:
        """For people."""
        process = f"process {self.process}"
        return process if self.run == "none" else f"run {self.run}, attempt {self.attempt}, {process}"

    def is_over(self, ours: Holder) -> bool:
        """Tell whether this holder has certainly ended, seen from *ours*: False when nobody can know.

        An attempt of a run begins when the one before has ended; a process of this very machine can be looked for.
        """
        if self.run == ours.run != "none" and self.attempt < ours.attempt:
            return True
        return self.machine == ours.machine and _started(self.process) != self.started


def _machine() -> str:
    """Return what tells this machine, since its start, from others, and a container from its neighbours."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        # Without /proc nobody can be looked for: a name that no other process has.
        return os.urandom(8).hex()
    return hashlib.sha256(f"{boot}{namespace}".encode()).hexdigest()[:16]


def _started(process: int) -> int | None:
    """Return when *process* began, in ticks since the machine's start; None when there is no such process."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    # A zombie has ended; its parent has not looked yet.
    return None if fields[0] == "Z" else int(fields[_START_FIELD])
