"""What earlier runs said, and what the next one would do: what `ec-verify status --history` prints."""

from __future__ import annotations

from typing import Literal

from ec_closure.policy import Level
from ec_closure.record import Count, Record, Text
from ec_closure.report import Overall, Reading

MAX_RUNS = 200
MAX_BYTES = 4 << 20
MAX_DUE = 50


class PastRun(Record, frozen=True, kw_only=True):
    """One run: its report's number, when it ended (seconds since 1970), what it reached, and what it read for that."""

    counter: Count
    finished: Count
    level_asked: Level
    level_reached: Level | None = None
    verdict: Overall
    counts: dict[str, int] = {}
    reading: Reading = Reading()


class NextRun(Record, frozen=True, kw_only=True):
    """What a run now would do, as far as memory tells: nobody has looked at the disk for it.

    *remembered* paths would be asked whether they changed. *due* of them, of *due_size* bytes, would be read in any
    case; *paths* are the first. *rebuilt* outputs still count as rebuilt, the first of them until *rebuilt_until*.
    *derivations* are the first that a run which rebuilds would rebuild, in order.
    """

    remembered: Count = 0
    due: Count = 0
    due_size: Count = 0
    paths: tuple[Text, ...] = ()
    rebuilt: Count = 0
    rebuilt_until: Count | None = None
    derivations: tuple[Text, ...] = ()


class History(Record, frozen=True, kw_only=True):
    """The last `MAX_RUNS` runs, the oldest first. *next* only where it was asked for."""

    schema: Literal["ec-runner.history.v1"] = "ec-runner.history.v1"
    runs: tuple[PastRun, ...] = ()
    next: NextRun | None = None
