"""Which paths need not be read again, and which are read although nothing seems to have changed. Pure."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ec_verify.memory.contents import Read
    from ec_verify.scan.path import PathTask

_TICK = 100_000_000
"""In ns: a change within it of the reading may carry the change time that was read. Kernels tick every 1 to 10 ms."""
_SECOND = 1_000_000_000


@dataclass(frozen=True)
class Choice:
    """*trusted* are to be fingerprinted only; *turn* are those whose turn it is to be read."""

    trusted: dict[str, Read]
    turn: dict[str, Read]


def choose(
    tasks: Iterable[PathTask],
    expected: Mapping[str, str],
    remembered: Mapping[str, Read],
    *,
    now: int,
    max_age: int,
    runs: int,
    key: bytes,
) -> Choice:
    """Return what may be taken from memory.

    *expected* has the SRI hash that signed or registered bytes must have; a path remembered with another one is read.
    *now* in seconds since 1970, *max_age* in seconds; what was read later than now is read again. At least one of
    *runs* parts of the remembered bytes is read again, what was read longest ago first. Of equal ones *key* decides,
    so that nobody knows whose turn it is. In *runs* runs everything was read.
    """
    found: dict[str, Read] = {}
    for task in tasks:
        read = remembered.get(task.path)
        if (
            read is not None
            and read.nar_hash == expected.get(task.path)
            and read.nar_size <= task.limit
            and read.asked == asked(task)
            and read.deserved is (task.ca is not None)
            and 0 <= now - read.read_at <= max_age
        ):
            found[task.path] = read
    turn = {path: found.pop(path) for path in due(found, runs, key)}
    return Choice(found, turn)


def due(found: Mapping[str, Read], runs: int, key: bytes) -> list[str]:
    """Return those of *found* whose turn it is, what was read longest ago first: one of *runs* parts of the bytes."""
    wanted = -(-sum(read.nar_size for read in found.values()) // runs)
    turn = []
    for path in sorted(found, key=lambda path: (found[path].read_at, _draw(key, path))):
        if wanted <= 0:
            break
        turn.append(path)
        wanted -= found[path].nar_size
    return turn


def asked(task: PathTask) -> bytes:
    """Return the digest of what a content address is computed with, besides the bytes."""
    return hashlib.sha256("\0".join((task.ca or "", *task.references)).encode(errors="surrogateescape")).digest()


def settled(newest: int, began: int) -> bool:
    """Tell whether a tree whose latest change is at *newest* was at rest when its reading *began*, both in ns.

    A change after the reading then has another change time ("racily clean" files, as git calls them, are not
    remembered). Times in whole seconds are those of a file system that knows no finer ones.
    """
    return newest + (2 * _SECOND if newest % _SECOND == 0 else _TICK) < began


def _draw(key: bytes, path: str) -> bytes:
    return hmac.digest(key, path.encode(errors="surrogateescape"), "sha256")
