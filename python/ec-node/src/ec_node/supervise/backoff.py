"""How long to wait before the next attempt."""

from __future__ import annotations

_MAX_DOUBLINGS = 30


def delay(attempt: int, chance: float, *, base: float, cap: float) -> float:
    """Return the seconds before attempt number *attempt* (0 is the first again), for a *chance* from 0 to 1.

    It doubles from *base* up to *cap*; up to half of it is taken off by chance, so that the broadcasts of a node whose
    tuner was away do not all come at once.
    """
    whole: float = min(cap, base * 2.0 ** min(attempt, _MAX_DOUBLINGS))
    return whole * (1 - chance / 2)
