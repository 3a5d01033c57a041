"""Units and drop-ins that do not come from the store. See systemd.unit(5), "Unit File Load Path".

On NixOS the units of /etc/systemd/system and /etc/systemd/user are one link into the store each. What lies elsewhere
was made by systemd's generators, at run time by an administrator or a program, or by an attacker.

A file is read as systemd reads it (`unit_syntax`, `command_line`), but nothing is taken back: an empty `ExecStart=`
does not forget the commands before it.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from ec_verify.location import base_name
from ec_verify.observe import command_line, unit_syntax
from ec_verify.observe.places import read, said, text
from ec_verify.observe.running import containing, copied, follow

if TYPE_CHECKING:
    from pathlib import Path

    from ec_verify.observe.command_line import Command
    from ec_verify.observe.places import HostPlaces
    from ec_verify.observe.unit_syntax import Assignment

Place = Literal["generator", "transient", "control", "runtime", "persistent", "program"]

_PROGRAM: Place = "program"

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
    "/usr/local/lib/systemd/system": "persistent",
    "/usr/local/lib/systemd/user": "persistent",
    "/usr/local/share/systemd/user": "persistent",
    "/usr/lib/systemd/system": "persistent",
    "/usr/lib/systemd/user": "persistent",
    "/usr/share/systemd/user": "persistent",
    "/lib/systemd/system": "persistent",
    # NixOS looked here too, before release 25.11
    "/etc/systemd-mutable/system": "persistent",
    "/nix/var/nix/profiles/default/lib/systemd/system": "persistent",
    "/nix/var/nix/profiles/default/lib/systemd/user": "persistent",
    # The managers' own configuration
    "/etc/systemd/system.conf.d": "persistent",
    "/etc/systemd/user.conf.d": "persistent",
    "/run/systemd/system.conf.d": "runtime",
    "/run/systemd/user.conf.d": "runtime",
    "/usr/local/lib/systemd/system.conf.d": "persistent",
    "/usr/local/lib/systemd/user.conf.d": "persistent",
    "/usr/lib/systemd/system.conf.d": "persistent",
    "/usr/lib/systemd/user.conf.d": "persistent",
    # What systemd starts without a unit
    **{
        f"{base}/systemd/{scope}-{kind}": _PROGRAM
        for base in ("/etc", "/run", "/usr/local/lib", "/usr/lib")
        for scope in ("system", "user")
        for kind in ("generators", "environment-generators")
    },
    **{
        f"{base}/systemd/system-{kind}": _PROGRAM
        for base in ("/etc", "/usr/local/lib", "/usr/lib")
        for kind in ("shutdown", "sleep")
    },
}
"""Where systemd looks, by what makes files there."""

FILES: dict[str, Place] = {
    "/etc/systemd/system.conf": "persistent",
    "/etc/systemd/user.conf": "persistent",
    "/run/systemd/system.conf": "runtime",
    "/run/systemd/user.conf": "runtime",
    "/usr/local/lib/systemd/system.conf": "persistent",
    "/usr/local/lib/systemd/user.conf": "persistent",
    "/usr/lib/systemd/system.conf": "persistent",
    "/usr/lib/systemd/user.conf": "persistent",
}
"""Configuration of the managers, in a file of its own."""

WISHES = (".wants", ".requires", ".upholds")
"""How directories end whose links only name what is started as well."""

_SYSTEM = "/etc/systemd/system"
_MAX_FILE = 1 << 20
_MAX_TOTAL = 256 << 20
_MAX_ENTRIES = 50_000
_MAX_DEPTH = 4
_MAX_COMMANDS = 1000
_MAX_ARGUMENTS = 100
_NO_COMMANDS = ("ExecPaths", "ExecSearchPath")
_KERNELS = ("/dev/", "/proc/", "/sys/")


@dataclass(frozen=True)
class Program:
    """What a unit executes: its first *word*, and where that *leads*.

    *leads* is None where that cannot be told: a circle, a specifier, a name that is looked up in directories of the
    unit's choice. *reaches* are the arguments that are paths out of the store, devices and the kernel's files left out.
    *shell* is `Command.shell`.
    """

    word: str
    leads: str | None
    arguments: tuple[str, ...] = ()
    reaches: tuple[str, ...] = ()
    shell: bool = False


@dataclass(frozen=True)
class UnitFile:
    """A unit, drop-in, link or program that is no file of the store.

    *settings* are all its assignments, in order. *target* is where a link leads: into the store too, where the link
    itself is not of the store. *flaw* says why it was not read, though systemd may read it. *shadows* tells whether the
    system has a unit of that name itself, or the file changes many units.
    """

    path: str
    place: Place
    settings: tuple[tuple[str, str], ...] = ()
    programs: tuple[Program, ...] = ()
    target: str | None = None
    flaw: str = ""
    shadows: bool = False

    @property
    def drop_in(self) -> bool:
        """Tell whether it changes another unit."""
        return self.path.rpartition("/")[0].endswith(".d")

    @property
    def wish(self) -> bool:
        """Tell whether it only names a unit that is started with another."""
        return self.target is not None and self.path.rpartition("/")[0].endswith(WISHES)

    @property
    def unit(self) -> str:
        """The unit that it is, or changes."""
        return base_name(self.path.rpartition("/")[0]).removesuffix(".d") if self.drop_in else base_name(self.path)


@dataclass(frozen=True)
class Units:
    """Everything that systemd would load from outside the store. *gaps* say what could not be read."""

    files: tuple[UnitFile, ...] = ()
    gaps: tuple[str, ...] = ()


def observe(places: HostPlaces, current: str | None = None) -> Units:
    """Read what lies where systemd looks; *current* is the running system. Homes of users are not looked at."""
    walk = _Walk(places, current)
    done: set[str] = set()
    for directory, place in DIRECTORIES.items():
        leads = follow(places.location, directory)
        # /lib may be a link to /usr/lib; and what is one link into the store is hashed with it.
        if leads is None or leads in done or containing(places.location, leads) is not None:
            continue
        done.add(leads)
        walk.directory(leads, place)
    for path, place in FILES.items():
        if os.path.lexists(places.physical(path)) and follow(places.location, path.rpartition("/")[0]) is not None:
            walk.file(path, place)
    return Units(tuple(walk.files), tuple(walk.gaps))


@dataclass
class _Walk:
    """What was found so far; *left* is how many bytes may still be read."""

    places: HostPlaces
    current: str | None = None
    files: list[UnitFile] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    left: int = _MAX_TOTAL

    def directory(self, base: str, place: Place) -> None:
        """Read everything below *base*, and behind links to directories that lie in it."""
        todo = [base]
        count = 0
        while todo:
            directory = todo.pop()
            leads = follow(self.places.location, directory) or directory
            try:
                with os.scandir(self.places.physical(leads)) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                self.gaps.append(f"{directory}: {said(error)}")
                continue
            for entry in entries:
                count += 1
                if count > _MAX_ENTRIES:
                    self.gaps.append(f"{base}: more than {_MAX_ENTRIES} entries")
                    return
                path = f"{directory}/{entry.name}"
                if not (entry.is_dir(follow_symlinks=False) or (directory == base and self._leads_to_directory(path))):
                    self.file(path, place)
                elif leads != directory:
                    continue  # below drop-ins systemd looks no deeper, and this may be anywhere
                elif path.count("/") - base.count("/") < _MAX_DEPTH:
                    todo.append(path)
                else:
                    self.gaps.append(f"{path}: deeper than {_MAX_DEPTH} directories")

    def _leads_to_directory(self, path: str) -> bool:
        """Tell whether systemd would find drop-ins behind a link: they change another unit here than where they lie."""
        target = follow(self.places.location, path) if path.endswith((".d", *WISHES)) else None
        if target is None or target == path or containing(self.places.location, target) is not None:
            return False
        try:
            status = _status(self.places.physical(target))
        except OSError:
            return False  # and then no file either, which is said
        return status is not None and stat.S_ISDIR(status.st_mode)

    def file(self, path: str, place: Place) -> None:
        """Read one file, or what a link says."""
        try:
            found = self._file(path, place)
        except FileNotFoundError:
            return
        except OSError as error:
            self.gaps.append(f"{path}: {said(error)}")
            return
        if found is not None:
            self.files.append(replace(found, shadows=self._shadows(found.unit)))

    def _shadows(self, unit: str) -> bool:
        """Tell whether the system has *unit*, or its template; what changes all of a kind or prefix changes some."""
        stem, dot, kind = unit.rpartition(".")
        if not dot or stem.endswith("-"):
            return True
        names = {unit, f"{stem.partition('@')[0]}@.{kind}" if "@" in stem else unit}
        found = (follow(self.places.location, f"{_SYSTEM}/{name}") for name in names)
        return any(one is not None and os.path.lexists(self.places.physical(one)) for one in found)

    def _file(self, path: str, place: Place) -> UnitFile | None:
        location = self.places.location
        target = follow(location, path)
        link = target != f"{follow(location, path.rpartition('/')[0])}/{base_name(path)}"
        status = _status(self.places.physical(target or path))
        if target is not None and containing(location, target) is not None:
            # What it says is hashed with the store; that it lies here is said of all of /etc by `observe.etc`.
            return UnitFile(path, place, target=target) if link and not path.startswith("/etc/") else None
        if link and (target is None or target == "/dev/null" or status is None):
            return UnitFile(path, place, target=target if target == "/dev/null" else "nothing")
        if status is None:
            raise FileNotFoundError
        if link and path.rpartition("/")[0].endswith(WISHES):
            return UnitFile(path, place, target=target)
        if link and target is not None and _looked_at(target, place) and not UnitFile(path, place).drop_in:
            return UnitFile(path, place, target=target)
        if not link and copied(location, self.current, path):
            return None
        shown = target if link else None
        if not stat.S_ISREG(status.st_mode):
            return UnitFile(path, place, target=shown, flaw="is no regular file")
        if place == "program":
            return UnitFile(path, place, target=shown)
        if status.st_size > min(_MAX_FILE, self.left):
            return UnitFile(path, place, target=shown, flaw=f"has {status.st_size} bytes, too many to be read")
        data = read(self.places.physical(target or path), _MAX_FILE)
        self.left -= len(data)
        return self._parsed(UnitFile(path, place, target=shown), unit_syntax.parse(text(data)))

    def _parsed(self, file: UnitFile, assignments: tuple[Assignment, ...]) -> UnitFile:
        settings = tuple((one.key, one.value) for one in assignments)
        search = [one.value for one in assignments if one.key == "ExecSearchPath" and one.value]
        commands = [
            command
            for one in assignments
            if one.section in ("Service", "Socket") and one.key.startswith("Exec") and one.key not in _NO_COMMANDS
            for command in command_line.parse(one.value)
        ]
        flaw = f"has {len(commands)} commands" if len(commands) > _MAX_COMMANDS else ""
        programs = tuple(self._program(command, own=bool(search)) for command in commands[:_MAX_COMMANDS])
        return replace(file, settings=settings, programs=programs, flaw=flaw)

    def _program(self, command: Command, *, own: bool) -> Program:
        """Resolve a command; *own* tells whether the unit names directories of its own to look programs up in."""
        word, location = command.program, self.places.location
        plain = word.replace("%%", "")
        leads = None if own or "%" in plain else word
        if word.startswith("/"):
            leads = None if "%" in plain else follow(location, word.replace("%%", "%"))
        elif "/" in word:
            leads = None
        paths = [one for one in command.arguments[:_MAX_ARGUMENTS] if one.startswith("/")]
        reaches = tuple(
            one
            for one in paths
            if not one.startswith(_KERNELS) and not (follow(location, one) or "").startswith(f"{location.store_dir}/")
        )
        return Program(word, leads, command.arguments[:_MAX_ARGUMENTS], reaches, command.shell)


def _looked_at(target: str, place: Place) -> bool:
    """Tell whether a unit is read where it lies, and weighs as it would here: a link to it is only another name."""
    return place != "program" and any(target.startswith(f"{one}/") for one, its in DIRECTORIES.items() if its == place)


def _status(path: Path) -> os.stat_result | None:
    """Return what lies at *path*, a link unfollowed; None where nothing does."""
    try:
        return path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
