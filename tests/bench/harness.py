"""Side by side: several ways to do one thing, in turns, on a warm machine; medians, no thresholds.

Turns, because a machine's speed drifts: each round runs every way once. Figures are for people to
read; no test depends on them.
"""

from __future__ import annotations

import statistics
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass
class Way:
    """One way to do it: *run* once, with what *prepare* returns where the way needs a fresh start."""

    name: str
    run: Callable[[], object]
    prepare: Callable[[], object] = lambda: None
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the rounds, in seconds."""
        return statistics.median(self.seconds)


def compare(title: str, ways: Sequence[Way], *, rounds: int = 5) -> str:
    """Run *ways* in turns, after one warm-up round that does not count, and return a table in Markdown.

    The last column divides by the last way's median: that of the peer, by custom.
    """
    for number in range(rounds + 1):
        for way in ways:
            way.prepare()
            start = time.perf_counter()
            way.run()
            if number:
                way.seconds.append(time.perf_counter() - start)
    reference = ways[-1].median
    lines = [f"### {title}", "", "| way | median s | min | max | x |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {way.name} | {way.median:.3f} | {min(way.seconds):.3f} | {max(way.seconds):.3f} |"
        f" {way.median / reference:.2f} |"
        for way in ways
    ]
    return "\n".join(lines) + "\n"


def program(*argv: str, env: Mapping[str, str] | None = None, expect: int = 0) -> Callable[[], object]:
    """Return a run of a program that must exit with *expect*."""

    def run() -> None:
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        if done.returncode != expect:
            raise RuntimeError(f"{' '.join(argv)} exited with {done.returncode}: {done.stderr[-500:]}")

    return run
