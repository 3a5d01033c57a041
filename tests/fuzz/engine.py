"""Engines: where inputs come from, and the watch over each of them.

`mutate` draws everything from one seed and is what the test suite uses. `hypothesis` looks for the smallest input that
breaks something. `atheris` follows the coverage of the code; it is asked for by name, since it is no dependency.
"""

from __future__ import annotations

import faulthandler
import hashlib
import resource
import signal
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NoReturn

from tests.fuzz.mutate import MAX_LENGTH, corrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from tests.fuzz.target import Target

SECONDS = 5.0
"""What one input may take."""
MEMORY = 2 << 30
"""Bytes of address space that the whole run may take."""
_POOL = 200
_RENEW = 20
_STUCK = 120.0


class TooSlowError(Exception):
    """An input took longer than `SECONDS`."""


@dataclass
class Outcome:
    """What a run of one target showed. Times in seconds, memory in bytes."""

    target: str
    engine: str
    runs: int = 0
    accepted: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    memory: int = 0
    failures: dict[str, Path] = field(default_factory=dict)

    def row(self) -> str:
        """Return one row of the table in docs/robustness.md."""
        return (
            f"| {self.target} | {self.engine} | {self.runs:,} | {self.accepted:,} | {self.seconds:.0f}"
            f" | {self.memory / (1 << 20):.0f} | {self.slowest * 1000:.1f} | {len(self.failures)} |"
        )


def documents(target: Target, random: Random, real: Sequence[bytes] = ()) -> Iterator[bytes]:
    """Yield inputs without end: valid documents, changed ones, damaged ones. *real* are what Nix itself wrote."""
    pool = [*real, *(target.make(random) for _ in range(_POOL))]
    number = 0
    while True:
        number += 1
        if number % _RENEW == 0:
            pool[random.randrange(len(real), len(pool))] = target.make(random)
        data = random.choice(pool)
        kind = random.random()
        if kind < 0.45:
            for _ in range(random.choice((1, 1, 1, 2, 3))):
                data = target.twist(random, data)
        if kind > 0.3:
            for _ in range(random.choice((1, 1, 2, 4)) if kind < 0.95 else 0):
                data = corrupt(random, data, pool, target.words)
        yield data[:MAX_LENGTH]


class Watch:
    """Fires inputs at *target*, with limits on time and memory, and keeps in *keep* what broke something."""

    def __init__(self, target: Target, engine: str, keep: Path, *, limits: bool = True) -> None:
        self.outcome = Outcome(target.name, engine)
        self._target = target
        self._keep = keep
        self._start = time.perf_counter()
        if limits:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        signal.signal(signal.SIGALRM, _too_slow)

    def fire(self, data: bytes) -> None:
        """Fire one input; what it breaks is kept, and the run goes on."""
        outcome = self.outcome
        if outcome.runs % 1000 == 0:
            # Code that does not come back from C hears no signal.
            faulthandler.dump_traceback_later(_STUCK, exit=True)
        outcome.runs += 1
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        begun = time.perf_counter()
        try:
            outcome.accepted += self._target.fire(data)
        except (Exception, RecursionError, MemoryError) as error:  # noqa: BLE001 - that is what is looked for
            self._broken(data, error)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        outcome.slowest = max(outcome.slowest, time.perf_counter() - begun)

    def finish(self) -> Outcome:
        """Return what was seen."""
        faulthandler.cancel_dump_traceback_later()
        self.outcome.seconds = time.perf_counter() - self._start
        self.outcome.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return self.outcome

    def _broken(self, data: bytes, error: BaseException) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        place = next((f for f in reversed(frames) if "/src/ec_" in f.filename), frames[-1])
        kind = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
        if kind in self.outcome.failures:
            return
        self._keep.mkdir(parents=True, exist_ok=True)
        file = self._keep / f"{self._target.name}-{hashlib.sha256(data).hexdigest()[:12]}"
        file.write_bytes(data)
        self.outcome.failures[kind] = file
        sys.stderr.write(f"{self._target.name}: {kind}: {str(error)[:300]}\n  kept as {file}\n")


def _too_slow(_number: int, _frame: FrameType | None) -> None:
    raise TooSlowError(f"more than {SECONDS} seconds")


def mutate(target: Target, runs: int, seed: int, real: Sequence[bytes], watch: Watch) -> None:
    """Fire *runs* inputs that follow from *seed*."""
    inputs = documents(target, Random(seed), real)
    for _ in range(runs):
        watch.fire(next(inputs))


def hypothesis(target: Target, runs: int, seed: int, real: Sequence[bytes], watch: Watch) -> None:
    """Let hypothesis choose document, changes and damage."""
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from hypothesis import strategies as st

    random = Random(seed)
    pool = [*real, *(target.make(random) for _ in range(_POOL))]
    edits = st.lists(st.tuples(st.booleans(), st.integers(0, 2**32 - 1)), max_size=5)

    @seeded(seed)
    @settings(
        max_examples=runs,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(pool) | st.binary(max_size=200), edits)
    def fire(data: bytes, changes: list[tuple[bool, int]]) -> None:
        for twisted, number in changes:
            draw = Random(number)
            data = target.twist(draw, data) if twisted else corrupt(draw, data, pool, target.words)
        watch.fire(data[:MAX_LENGTH])

    fire()


def atheris(
    target: Target,
    runs: int,
    seed: int,
    real: Sequence[bytes],
    watch: Watch,
    *,
    corpus: Path,
    end: Callable[[], NoReturn],
) -> NoReturn:
    """Let atheris follow the coverage of our packages. *end* is called after the last input; libFuzzer does not return."""
    import atheris as library

    random = Random(seed)
    corpus.mkdir(parents=True, exist_ok=True)
    pool = [*real, *(target.make(random) for _ in range(_POOL))]
    for number, document in enumerate(pool):
        (corpus / f"seed-{number}").write_bytes(document)

    def change(data: bytes, most: int, number: int) -> bytes:
        draw = Random(number)
        kind = draw.random()
        if kind < 0.35:
            changed = target.twist(draw, data)
        elif kind < 0.7:
            changed = corrupt(draw, data, pool, target.words)
        else:
            changed = library.Mutate(data, most)
        return changed[:most]

    def fire(data: bytes) -> None:
        watch.fire(data)
        if watch.outcome.runs >= runs:
            end()

    flags = [f"-seed={seed or 1}", f"-max_len={MAX_LENGTH}", "-rss_limit_mb=0", "-timeout=0", "-print_final_stats=0"]
    library.Setup([sys.argv[0], *flags, "-verbosity=0", str(corpus)], fire, custom_mutator=change)
    library.Fuzz()
    end()


ENGINES = ("mutate", "hypothesis", "atheris")
