"""Side by side: several ways to do one thing, in turns, on a warm machine; medians, no thresholds.

Turns, because a machine's speed drifts: each round runs every way once. Figures are for people to
read; no test depends on them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass
class Way:
    """One way to do it: *run* once, with what *prepare* returns where the way needs a fresh start.

    *seconds* are by the clock, *work* those that processors spent on it: of this process and of those that it started
    and waited for. On a busy machine the second column is the one to look at.
    """

    name: str
    run: Callable[[], object]
    prepare: Callable[[], object] = lambda: None
    seconds: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the rounds, in seconds."""
        return statistics.median(self.seconds)

    def measure(self) -> None:
        """Run once more, and take the time."""
        self.prepare()
        start, busy = time.perf_counter(), _work()
        self.run()
        self.work.append(_work() - busy)
        self.seconds.append(time.perf_counter() - start)


def compare(title: str, ways: Sequence[Way], *, rounds: int = 5, targets: Mapping[str, float] | None = None) -> str:
    """Run *ways* in turns, after one warm-up round that does not count, and return a table in Markdown.

    The last column divides by the last way's median: that of the peer, by custom. *targets* says, by the name of a
    peer, which part of its time the first way may take.
    """
    for _ in range(rounds + 1):
        for way in ways:
            way.measure()
    for way in ways:
        del way.seconds[0], way.work[0]
    reference = ways[-1].median
    lines = [
        f"### {title}",
        "",
        "| way | median s | min | max | processor s | x |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {way.name} | {way.median:.3f} | {min(way.seconds):.3f} | {max(way.seconds):.3f} |"
        f" {statistics.median(way.work):.3f} | {way.median / reference:.2f} |"
        for way in ways
    ]
    by_name = {way.name: way for way in ways}
    lines += [
        f"\n{ways[0].name}: {ways[0].median / by_name[name].median:.2f} x {name}; the target is {target:.2f} x."
        for name, target in (targets or {}).items()
    ]
    return "\n".join(lines) + "\n"


def program(*argv: str, env: Mapping[str, str] | None = None, expect: int = 0) -> Callable[[], object]:
    """Return a run of a program that must exit with *expect*."""

    def run() -> None:
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        if done.returncode != expect:
            raise RuntimeError(f"{' '.join(argv)} exited with {done.returncode}: {done.stderr[-500:]}")

    return run


def _work() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def spent(process: int) -> float:
    """Return how many seconds processors spent on a *process* so far, its children not among them."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def quantile(times: list[float], share: float) -> float:
    """Return the time in milliseconds within which a *share* of them is."""
    return sorted(times)[min(len(times) - 1, int(share * len(times)))] * 1000
