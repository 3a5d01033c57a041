"""Rules from outside the store by which udev, kmod, systemd's helpers, polkit and D-Bus act or run programs.

Each of these programs reads directories of /etc, /run and /usr that NixOS fills from the store, or leaves empty.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ec_verify.observe.places import read, said, text
from ec_verify.observe.running import containing, copied, follow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_verify.observe.places import HostPlaces

Kind = Literal["udev", "modprobe", "binfmt", "sysctl", "tmpfiles", "modules", "users", "polkit", "dbus", "extension"]

_NAMES: dict[str, Kind] = {
    "udev/rules.d": "udev",
    "modprobe.d": "modprobe",
    "binfmt.d": "binfmt",
    "sysctl.d": "sysctl",
    "tmpfiles.d": "tmpfiles",
    "modules-load.d": "modules",
    "sysusers.d": "users",
}
DIRECTORIES: dict[str, Kind] = {
    **{
        f"{base}/{name}": kind
        for name, kind in _NAMES.items()
        for base in ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
    },
    "/etc/polkit-1/rules.d": "polkit",
    "/run/polkit-1/rules.d": "polkit",
    "/usr/local/share/polkit-1/rules.d": "polkit",
    "/usr/share/polkit-1/rules.d": "polkit",
    "/etc/dbus-1/system-services": "dbus",
    "/run/dbus-1/system-services": "dbus",
    "/usr/local/share/dbus-1/system-services": "dbus",
    "/usr/share/dbus-1/system-services": "dbus",
    # Images and trees that systemd-sysext and systemd-confext lay over /usr and /etc
    "/etc/extensions": "extension",
    "/run/extensions": "extension",
    "/var/lib/extensions": "extension",
    "/run/confexts": "extension",
    "/var/lib/confexts": "extension",
    "/usr/local/lib/confexts": "extension",
    "/usr/lib/confexts": "extension",
}
"""Where rules lie, and whose they are."""

_END = re.compile(r"\n\r?|\r\n?|\0")
_MAX_FILE = 1 << 20
_MAX_TOTAL = 64 << 20
_MAX_ENTRIES = 50_000


@dataclass(frozen=True)
class RuleFile:
    """A file of rules that is none of the store's.

    *lines* are what `parse` returns. *target* is where a link leads:
    `/dev/null`, or a file of the store that somebody chose. *flaw* says why it was not read.
    """

    path: str
    kind: Kind
    lines: tuple[str, ...] = ()
    target: str | None = None
    flaw: str = ""


@dataclass(frozen=True)
class Rules:
    """All rules from outside the store. *gaps* say what could not be read."""

    files: tuple[RuleFile, ...] = ()
    gaps: tuple[str, ...] = ()


def observe(places: HostPlaces, current: str | None = None) -> Rules:
    """Read what lies in the directories of rules; what lies deeper, nobody reads. *current* is the running system."""
    reading = _Reading(places, current)
    done: set[str] = set()
    for directory, kind in DIRECTORIES.items():
        leads = follow(places.location, directory)
        if leads is None or leads in done or containing(places.location, leads) is not None:
            continue
        done.add(leads)
        reading.directory(leads, kind)
    return Rules(tuple(reading.files), tuple(reading.gaps))


@dataclass
class _Reading:
    """What was found so far; *left* is how many bytes may still be read."""

    places: HostPlaces
    current: str | None = None
    files: list[RuleFile] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    left: int = _MAX_TOTAL

    def directory(self, base: str, kind: Kind) -> None:
        """Read every file of a directory."""
        try:
            with os.scandir(self.places.physical(base)) as listing:
                names = sorted(entry.name for entry in listing)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self.gaps.append(f"{base}: {said(error)}")
            return
        if len(names) > _MAX_ENTRIES:
            self.gaps.append(f"{base}: more than {_MAX_ENTRIES} entries")
        for name in names[:_MAX_ENTRIES]:
            try:
                found = self._file(f"{base}/{name}", kind)
            except FileNotFoundError:
                continue
            except OSError as error:
                self.gaps.append(f"{base}/{name}: {said(error)}")
                continue
            if found is not None:
                self.files.append(found)

    def _file(self, path: str, kind: Kind) -> RuleFile | None:
        target = follow(self.places.location, path)
        if target is None:
            return None  # a circle is nothing to read
        if target == "/dev/null":
            return RuleFile(path, kind, target=target)
        if containing(self.places.location, target) is not None:
            # In /etc, the system's own links lead there; others are told by `observe.etc`.
            return None if path.startswith("/etc/") else RuleFile(path, kind, target=target)
        if kind == "extension":
            return RuleFile(path, kind)
        status = self.places.physical(target).lstat()
        if stat.S_ISDIR(status.st_mode) or copied(self.places.location, self.current, path):
            return None
        if not stat.S_ISREG(status.st_mode):
            return RuleFile(path, kind, flaw="is no regular file")
        if status.st_size > min(_MAX_FILE, self.left):
            return RuleFile(path, kind, flaw=f"has {status.st_size} bytes, too many to be read")
        data = read(self.places.physical(target), _MAX_FILE)
        self.left -= len(data)
        return RuleFile(path, kind, parse(text(data)))


def parse(rules: str) -> tuple[str, ...]:
    """Return the lines of a file of rules, comments (`#`) left out, whichever of its readers reads it.

    Some know no continued lines, some find comments in them, some do not: a line is returned as each would read it.
    """
    lines = _END.split(rules)
    without = [line for line in lines if not line.lstrip().startswith("#")]
    whole = (line.strip() for line in (*without, *_joined(lines), *_joined(without)))
    return tuple(dict.fromkeys(line for line in whole if line and not line.startswith("#")))


def _joined(lines: list[str]) -> Iterator[str]:
    pending: list[str] = []
    for line in (*lines, ""):
        pending.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            yield "".join(pending)
            pending = []
