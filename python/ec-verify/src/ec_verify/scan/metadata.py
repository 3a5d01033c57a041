"""What a NAR does not hold, and Nix does not verify: mode, owner, time stamp, set-ID bits, attributes."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ec_closure.nar.inspect import xattr_names
from ec_closure.policy import matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ec_closure.nar.inspect import Inspector
    from ec_closure.policy import Metadata

AnomalyKind = Literal["mode", "owner", "mtime", "setid", "xattr"]

MAX_ANOMALIES = 50
"""Of each kind, so that many harmless ones do not hide a grave one."""
# Labels that the running kernel's security module puts on every file; they say nothing about the path.
_LABELS = frozenset(
    {
        "security.selinux",
        "security.SMACK64",
        "security.SMACK64EXEC",
        "security.apparmor",
        "security.ima",
        "security.evm",
    }
)
# What Nix sets every time stamp to: one second after the epoch.
_CANONICAL_TIME = 1_000_000_000
# What makers of images set it to: the epoch itself.
_IMAGE_TIME = 0
_GOOD = frozenset({0o100444, 0o100555, 0o040555})
_SET_ID = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One entry whose metadata is not what Nix makes. *relative* is empty for the path itself."""

    kind: AnomalyKind
    relative: str
    detail: str


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns every entry of the store, the groups that are innocent, and the time stamps (ns) of what they made.

    *attributes* are shell patterns on names of extended attributes that policy allows.
    """

    uid: int
    gids: tuple[int, ...]
    times: tuple[int, ...] = (_CANONICAL_TIME,)
    attributes: tuple[str, ...] = ()

    @classmethod
    def of(cls, store: os.stat_result) -> Owner:
        """Derive it from the store directory's stat (its group may be that of the build users).

        Only root and the user who runs this may own a store. A directory that somebody else owns says nothing: then
        its entries should be ours.
        """
        if store.st_uid not in (0, os.geteuid()):
            return cls(os.geteuid(), (os.getegid(),))
        return cls(store.st_uid, tuple({store.st_gid, 0} if store.st_uid == 0 else {store.st_gid}))

    def of_image(self) -> Owner:
        """Return the same for a store that came as an image (squashfs, ISO), whose makers set every time stamp to 0."""
        return replace(self, times=(_CANONICAL_TIME, _IMAGE_TIME))

    def under(self, rules: Metadata) -> Owner:
        """Return the same with the groups and attributes that policy allows."""
        return replace(self, gids=(*self.gids, *rules.groups), attributes=rules.attributes)

    def strange(self, names: Iterable[str]) -> list[str]:
        """Return those *names* of extended attributes that are no label and not allowed, sorted."""
        return sorted(name for name in set(names) - _LABELS if not matches(name, self.attributes))


def inspector(owner: Owner, found: list[Anomaly]) -> Inspector:
    """Return an inspector for `ec_closure.nar.dump` that adds to *found*, `MAX_ANOMALIES` of a kind at most."""
    counts: Counter[AnomalyKind] = Counter()

    def keep(anomaly: Anomaly) -> None:
        counts[anomaly.kind] += 1
        if counts[anomaly.kind] <= MAX_ANOMALIES:
            found.append(anomaly)

    return reporter(owner, keep)


def reporter(owner: Owner, report: Callable[[Anomaly], object]) -> Inspector:
    """Return an inspector that calls *report* with each anomaly."""
    uid, gids, times = owner.uid, owner.gids, owner.times

    def inspect(relative: bytes, status: os.stat_result, fd: int | None, link: tuple[int, bytes] | None) -> None:
        # The hot path of every scan: nearly all entries are as Nix makes them, and leave here.
        mode = status.st_mode
        names = attribute_names(fd, link)
        if (
            not names
            and (mode in _GOOD or stat.S_ISLNK(mode))
            and status.st_uid == uid
            and status.st_gid in gids
            and status.st_mtime_ns in times
        ):
            return
        for anomaly in _judge(relative, status, names, owner):
            report(anomaly)

    return inspect


def strange_attributes(fd: int | None, link: tuple[int, bytes] | None) -> list[str]:
    """Return the names of an entry's extended attributes that are no security module's label, sorted.

    Arguments as of `ec_closure.nar.inspect.xattr_names`. Raises OSError.
    """
    return sorted(set(attribute_names(fd, link)) - _LABELS)


def attribute_names(fd: int | None, link: tuple[int, bytes] | None) -> list[str]:
    """Return the names of an entry's extended attributes, none where the file system has no such thing (squashfs).

    Arguments as of `ec_closure.nar.inspect.xattr_names`. Raises OSError.
    """
    try:
        return os.listxattr(fd) if fd is not None else xattr_names(fd, link)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return []
        raise


def _judge(relative: bytes, status: os.stat_result, names: list[str], owner: Owner) -> list[Anomaly]:
    where = relative.decode(errors="backslashreplace")
    mode = status.st_mode
    found = []
    if not stat.S_ISLNK(mode):
        if mode & _SET_ID:
            found.append(Anomaly("setid", where, f"mode {stat.S_IMODE(mode):04o}"))
        plain = stat.S_IMODE(mode) & ~_SET_ID
        if plain not in ((0o555,) if stat.S_ISDIR(mode) else (0o444, 0o555)):
            found.append(Anomaly("mode", where, f"mode {stat.S_IMODE(mode):04o}"))
    if status.st_uid != owner.uid or status.st_gid not in owner.gids:
        expected = f"{owner.uid}:{owner.gids[0]}"
        found.append(Anomaly("owner", where, f"owner {status.st_uid}:{status.st_gid}, not {expected}"))
    if status.st_mtime_ns not in owner.times:
        found.append(Anomaly("mtime", where, f"time stamp {status.st_mtime}"))
    if strange := owner.strange(names):
        found.append(Anomaly("xattr", where, ", ".join(strange)))
    return found
