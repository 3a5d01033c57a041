"""The boot server's state directory: which releases are staged, and which one is served.

    lock
    trust/                       what the TUF client remembers
    standing.json                what signed metadata said about releases when they were last verified
    incoming/                    what is not verified yet; emptied by every stage
    releases/<digest>/           kernel, initrd, netboot.ipxe, release.json; never changed
    <platform>/generations/<n>/  generation.json, and a link to the release
    <platform>/current           a link to one of them: the only thing that is ever replaced

Whatever is killed at whatever moment, `current` names a release that is whole.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import msgspec

from ec_closure import canonical, files
from ec_closure.errors import EcError
from ec_netboot.errors import StateError
from ec_netboot.release import MAX_BYTES, PLATFORMS, Generation, Platform, Release, Standing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

T = TypeVar("T", bound=msgspec.Struct)

_GENERATION = re.compile(r"generations/([1-9][0-9]{0,9})")
_ASIDE = ".next"
_HINT = "the state directory must be writable and have room, see state_dir in netboot.toml"


class State:
    """The directory *path*, made when it is first written to. Methods raise `StateError` with what the system said."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.incoming = path / "incoming"
        self.releases = path / "releases"
        self.trust = path / "trust"
        self.swept: list[str] = []

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for one change, without what killed ones left half-done; `swept` names that.

        Raises `StateError` when another holds it.
        """
        with told(self.path):
            _make(self.path)
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StateError("another change is under way", place=str(self.path), hint="wait for it") from error
            self.swept = self._sweep()
            yield
        finally:
            os.close(descriptor)

    def _sweep(self) -> list[str]:
        """Remove what was not finished; return the names."""
        removed = []
        with told(self.path):
            self.incoming.mkdir(exist_ok=True, mode=0o700)
            _make(self.releases)
            for left in self.incoming.iterdir():
                _remove(left)
                removed.append(left.name)
            files.sweep(self.path)
            for platform in PLATFORMS:
                (self.path / platform / _ASIDE).unlink(missing_ok=True)
        return removed

    def current(self, platform: Platform) -> Generation | None:
        """Return what is served to *platform*, None before the first."""
        number = self.current_number(platform)
        if number is None:
            return None
        return self._read(self._generation(platform, number) / "generation.json", Generation)

    def current_number(self, platform: Platform) -> int | None:
        """Return the number of the generation that is served: one system call, for those who ask often."""
        link = self.path / platform / "current"
        with told(link):
            try:
                target = str(link.readlink())
            except FileNotFoundError:
                return None
        match = _GENERATION.fullmatch(target)
        if match is None:
            raise StateError("leads elsewhere", place=str(link), hint="stage again: it is replaced")
        return int(match[1])

    def release(self, name: str) -> Release:
        """Return what `release.json` in the directory *name* says. Its files are not looked at."""
        return self._read(self.releases / name / "release.json", Release)

    def served(self, platform: Platform) -> Release | None:
        """Return the release that is served to *platform*, None before the first."""
        generation = self.current(platform)
        return None if generation is None else self.release(generation.release)

    def standing(self) -> Standing | None:
        """Return what signed metadata said last, None when they were never read here."""
        file = self.path / "standing.json"
        return self._read(file, Standing) if os.path.lexists(file) else None

    def note(self, standing: Standing) -> None:
        """Remember what signed metadata say."""
        self._write(self.path / "standing.json", standing)

    def free_name(self, archive: str) -> str:
        """Return a name for a new directory of the release *archive*; those that are there may be damaged."""
        names = [archive, *(f"{archive}.{number}" for number in range(1, 10_000))]
        return next(name for name in names if not os.path.lexists(self.releases / name))

    def names_of(self, archive: str) -> list[str]:
        """Return the directories that hold the release *archive*, damaged or not."""
        with told(self.releases):
            return sorted(path.name for path in self.releases.iterdir() if path.name.partition(".")[0] == archive)

    def add(self, directory: Path, release: Release) -> str:
        """Move *directory*, which holds the files of *release*, among the releases; return its name there."""
        name = self.free_name(release.archive)
        self._write(directory / "release.json", release)
        with told(directory):
            directory.chmod(0o755)
            files.sync_directory(directory)
            directory.rename(self.releases / name)
            files.sync_directory(self.releases)
        return name

    def switch(self, platform: Platform, generation: Generation) -> None:
        """Serve *generation* from now on: whoever looks sees the old one or this one."""
        home = self.path / platform
        directory = self.incoming / f"{platform}-{generation.number}"
        with told(home):
            for path in (home, home / "generations", directory):
                _make(path)
            (directory / "release").symlink_to(f"../../../releases/{generation.release}")
            self._write(directory / "generation.json", generation)
            target = home / "generations" / str(generation.number)
            if os.path.lexists(target):  # somebody was killed before it was current
                _remove(target)
            directory.rename(target)
            files.sync_directory(target.parent)
            (home / _ASIDE).symlink_to(f"generations/{generation.number}")
            (home / _ASIDE).rename(home / "current")
            files.sync_directory(home)

    def prune(self, keep: int) -> list[str]:
        """Remove releases that nothing served leads back to within *keep* steps; return their names. Hold the lock.

        A release that is being downloaded from here stays readable for those who have it open.
        """
        wanted: set[str] = set()
        for platform in PLATFORMS:
            number = self.current_number(platform)
            if number is not None:
                wanted |= self._recent(platform, number, keep)
        removed = []
        with told(self.releases):
            for path in sorted(self.releases.iterdir()):
                if path.name not in wanted:
                    # Out of sight first: a directory that is half removed must not look like a release.
                    path.rename(self.incoming / path.name)
                    _remove(self.incoming / path.name)
                    removed.append(path.name)
        return removed

    def _recent(self, platform: Platform, number: int, keep: int) -> set[str]:
        generation = self.current(platform)
        found = {} if generation is None else dict.fromkeys([generation.release, generation.previous or ""])
        home = self.path / platform / "generations"
        with told(home):
            numbers = sorted((int(path.name) for path in home.iterdir() if path.name.isdigit()), reverse=True)
        for one in numbers:
            directory = home / str(one)
            try:
                name = self._read(directory / "generation.json", Generation).release
            except StateError:  # damaged, and not what is served: nothing leads back through it
                name = ""
            if name and one <= number and (name in found or len(found) < keep):
                found[name] = None
            elif name not in found:
                with told(directory):
                    _remove(directory)
        return set(found)

    def _generation(self, platform: Platform, number: int) -> Path:
        return self.path / platform / "generations" / str(number)

    def _read(self, file: Path, kind: type[T]) -> T:
        with told(file), files.open_regular(file) as stream:
            data = stream.read(MAX_BYTES + 1)
        try:
            return canonical.decode(data, kind, what=str(file), max_bytes=MAX_BYTES)
        except EcError as error:
            raise StateError(error.message, place=error.place, hint="remove it and stage again") from error

    def _write(self, file: Path, document: msgspec.Struct) -> None:
        with told(file), files.replacing(file, mode=0o644) as stream:
            stream.write(canonical.encode(document))


def _make(path: Path) -> None:
    """Make a directory that others may read, whatever the umask is: who serves may be somebody else."""
    if not path.is_dir():
        path.mkdir(parents=True)
        path.chmod(0o755)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def told(place: Path) -> Iterator[None]:
    """Turn failed system calls inside into `StateError`."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StateError(
            (error.strerror or str(error)).lower(),
            place=str(error.filename or place),
            hint="make room; what was served before is still served" if full else _HINT,
        ) from error
