"""Units and drop-ins that do not come from the store. See systemd.unit(5), "Unit File Load Path".

On NixOS the units of /etc/systemd/system and /etc/systemd/user are one link into the store each. What lies elsewhere
was made by systemd's generators, at run time by an administrator or a program, or by an attacker.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ec_verify.observe.places import read, said, text
from ec_verify.observe.running import containing, follow

if TYPE_CHECKING:
    from ec_verify.observe.places import HostPlaces

Place = Literal["generator", "transient", "control", "runtime", "persistent", "program"]

DIRECTORIES: dict[str, Place] = {
    "/etc/systemd/system.control": "control",
    "/run/systemd/system.control": "control",
    "/run/systemd/transient": "transient",
    "/run/systemd/generator.early": "generator",
    "/run/systemd/generator": "generator",
    "/run/systemd/generator.late": "generator",
    "/etc/systemd/system": "persistent",
    "/etc/systemd/system.attached": "persistent",
    "/etc/systemd/user": "persistent",
    "/run/systemd/system": "runtime",
    "/run/systemd/system.attached": "runtime",
    "/run/systemd/user": "runtime",
    "/run/systemd/system.conf.d": "runtime",
    "/run/systemd/user.conf.d": "runtime",
    "/usr/local/lib/systemd/system": "persistent",
    "/usr/local/lib/systemd/user": "persistent",
    "/usr/local/lib/systemd/system.conf.d": "persistent",
    "/usr/lib/systemd/system": "persistent",
    "/usr/lib/systemd/user": "persistent",
    "/lib/systemd/system": "persistent",
    # What systemd starts without a unit
    "/etc/systemd/system-generators": "program",
    "/run/systemd/system-generators": "program",
    "/usr/local/lib/systemd/system-generators": "program",
    "/usr/lib/systemd/system-generators": "program",
    "/etc/systemd/system-environment-generators": "program",
    "/run/systemd/system-environment-generators": "program",
    "/etc/systemd/system-shutdown": "program",
    "/etc/systemd/system-sleep": "program",
}
"""Where systemd looks, by what makes files there."""

_MAX_FILE = 1 << 20
_MAX_ENTRIES = 50_000
_MAX_DEPTH = 4
_PREFIXES = "@-:+!|"


@dataclass(frozen=True)
class UnitFile:
    """A unit, drop-in or program that is no file of the store.

    *settings* are all its assignments, in order; *programs* the first words of what it executes, and where each leads
    (None for a circle). *target* is where a link leads.
    """

    path: str
    place: Place
    settings: tuple[tuple[str, str], ...] = ()
    programs: tuple[tuple[str, str | None], ...] = ()
    target: str | None = None

    @property
    def drop_in(self) -> bool:
        """Tell whether it changes another unit."""
        return self.path.rpartition("/")[0].endswith(".d")


@dataclass(frozen=True)
class Units:
    """Everything that systemd would load from outside the store. *gaps* say what could not be read."""

    files: tuple[UnitFile, ...] = ()
    gaps: tuple[str, ...] = ()


def observe(places: HostPlaces) -> Units:
    """Read what lies in the directories that systemd looks into. Homes of users are not looked at."""
    files: list[UnitFile] = []
    gaps: list[str] = []
    done: set[str] = set()
    for directory, place in DIRECTORIES.items():
        leads = follow(places.location, directory)
        # /lib may be a link to /usr/lib; and what is one link into the store is hashed with it.
        if leads is None or leads in done or containing(places.location, leads) is not None:
            continue
        done.add(leads)
        _read_directory(places, leads, place, files, gaps)
    return Units(tuple(files), tuple(gaps))


def _read_directory(places: HostPlaces, base: str, place: Place, files: list[UnitFile], gaps: list[str]) -> None:
    todo = [base]
    count = 0
    while todo:
        directory = todo.pop()
        try:
            with os.scandir(places.physical(directory)) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            gaps.append(f"{directory}: {said(error)}")
            continue
        for entry in entries:
            count += 1
            if count > _MAX_ENTRIES:
                gaps.append(f"{base}: more than {_MAX_ENTRIES} entries")
                return
            path = f"{directory}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if path.count("/") - base.count("/") < _MAX_DEPTH:
                    todo.append(path)
                else:
                    gaps.append(f"{path}: deeper than {_MAX_DEPTH} directories")
                continue
            try:
                _read_file(places, path, place, files)
            except FileNotFoundError:
                continue
            except OSError as error:
                gaps.append(f"{path}: {said(error)}")


def _read_file(places: HostPlaces, path: str, place: Place, files: list[UnitFile]) -> None:
    target = follow(places.location, path)
    link = places.physical(path).is_symlink()
    if target is not None and containing(places.location, target) is not None:
        return  # hashed with the store, or reported as missing there
    if link and (target is None or not places.physical(target).exists()):
        files.append(UnitFile(path, place, target=target or "nothing"))
        return
    if target == "/dev/null":
        files.append(UnitFile(path, place, target=target))
        return
    if target is not None and link and any(target.startswith(f"{one}/") for one in DIRECTORIES):
        return  # an alias or a wish for a unit that is looked at where it lies
    settings = () if place == "program" else parse(text(read(places.physical(target or path), _MAX_FILE)))
    words = [word for key, value in settings if key.startswith("Exec") and (word := _program(value))]
    programs = tuple((word, follow(places.location, word) if word.startswith("/") else word) for word in words)
    files.append(UnitFile(path, place, settings, programs, target if link else None))


def parse(unit: str) -> tuple[tuple[str, str], ...]:
    """Return the assignments of a unit file in order, whatever section they are in. See systemd.syntax(7)."""
    found: list[tuple[str, str]] = []
    pending = ""
    for line in unit.split("\n"):
        stripped = line.strip()
        if stripped.startswith(("#", ";")):
            continue
        if stripped.endswith("\\"):
            pending += stripped[:-1] + " "
            continue
        whole, pending = pending + stripped, ""
        key, equals, value = whole.partition("=")
        if equals and not whole.startswith("["):
            found.append((key.strip(), value.strip()))
    return tuple(found)


def _program(command: str) -> str:
    """Return the program of a command line: empty when the list is being reset."""
    word = command.lstrip(_PREFIXES).strip()
    if word[:1] in ('"', "'"):
        return word[1:].partition(word[0])[0]
    return word.split(None, 1)[0] if word else ""
