"""One ghost store, from its first mount to its end."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ec_closure.store_db import StoreDatabase
from ec_verify.errors import CanaryError, GhostError
from ec_verify.ghost import database
from ec_verify.ghost.limits import Room
from ec_verify.ghost.namespace import Namespace
from ec_verify.ghost.nix import NixPrograms, NixRunner, NixSettings, shared_pools
from ec_verify.ghost.scratch import Scratch, ScratchPlan
from ec_verify.location import base_name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from ec_closure.store_db import PathInfo
    from ec_verify.location import StoreLocation

_ESCAPED = "the ghost store is not private: a canary left it; nothing was built"


class Ghost:
    """A ghost of the store at *location*; a context manager.

    *rows* are what its database starts with (see `vouched`). *seed* is an earlier ghost whose additions
    (derivations, above all) and database are taken over instead. *hide* are store paths that must not be
    visible: the outputs under test. Raises `GhostError`.

    Not checked here: that the real store stays as it is while the ghost lives; see `watch`.
    """

    def __init__(
        self,
        location: StoreLocation,
        programs: NixPrograms,
        settings: NixSettings,
        scratch: ScratchPlan,
        *,
        rows: Iterable[PathInfo] = (),
        seed: Ghost | None = None,
        hide: Iterable[str] = (),
    ) -> None:
        self.location = location
        self._programs = programs
        self._settings = settings
        self._plan = scratch
        self._rows = rows
        self._seed = seed
        self._hide = sorted(hide)
        self._stack = ExitStack()
        self._scratch = Path()
        self._room = Path()

    def __enter__(self) -> Self:
        try:
            self._scratch = self._stack.enter_context(Scratch(self._plan)).path
            self.namespace = self._stack.enter_context(Namespace())
            self._furnish()
            self._cover()
            self.nix = NixRunner(self.namespace, self.location, self._programs, self._settings, self._room / "nix")
            self.nix.prepare()
            self._release_canaries()
            if self._seed is None:
                # The canary had Nix make the tables, so that they are those of its version; the rows are ours.
                self._release_canary()
                database.register(self.database, self._rows)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _furnish(self) -> None:
        # The database is an ordinary file on this side too (SQLite resolves links, even the kernel's own), so
        # the private state directory never lies on a tmpfs that only the inside sees; the large things do.
        self._room = self._scratch / "room"
        (self.state / "db").mkdir(parents=True)
        self._room.mkdir()
        rooms = [{"do": "mkdir", "at": str(self._room / name)} for name in ("upper", "work", "lower", "nix")]
        self.namespace.perform([*self._plan.steps(self._room), *rooms])
        # Nix expects the mode of a store directory on what it takes for one.
        self.upper_directory.chmod(stat.S_IMODE(self.location.store.stat().st_mode))
        if self._seed is not None:
            self._take_over(self._seed)
        existing = [path for path in self._hide if os.path.lexists(self.location.physical(path))]
        self.namespace.perform(
            [{"do": "whiteout", "at": str(self._room / "upper" / base_name(path))} for path in existing]
        )

    def _take_over(self, seed: Ghost) -> None:
        target = self.state / "db"
        with StoreDatabase.open(seed.state, store_dir=self.location.store_dir) as opened:
            opened.backup(target / "db.sqlite", durable=False)
        shutil.copyfile(seed.state / "db" / "schema", target / "schema")
        _link_all(seed.upper_directory, self.upper_directory)

    def _cover(self) -> None:
        steps = []
        for pool in () if self.namespace.user else shared_pools(self.location.state):
            mine = str(self.state / pool)
            steps += [
                {"do": "mkdir", "at": mine},
                {"do": "bind", "from": str(self.location.state / pool), "at": mine},
            ]
        overlay = {"do": "overlay", "scratch": str(self._room), "at": str(self.location.store)}
        if self.namespace.user:
            overlay["options"] = ",userxattr"
        steps += [
            overlay,
            {"do": "bind", "from": str(self.state), "at": str(self.location.state)},
        ]
        self.namespace.perform(steps)

    def _release_canaries(self) -> None:
        # What is made inside must be in the upper layer, or the private state, and nowhere else, before Nix runs.
        name = f"ec-verify-canary-{secrets.token_hex(8)}"
        places = {
            self.location.store / name: self.upper_directory / name,
            self.location.state / name: self.state / name,
        }
        for inside, outside in places.items():
            self.namespace.perform([{"do": "touch", "at": str(inside)}])
            private = outside.exists() and not os.path.lexists(inside)
            self.namespace.perform([{"do": "remove", "at": str(inside)}])
            if not private:
                raise CanaryError(_ESCAPED, place=str(inside), hint="tell the project; the canary was removed")

    def _release_canary(self) -> None:
        # The same for a path that Nix makes. Once: ghosts that start from this one have its settings and its Nix.
        source = self._room / "nix" / "ec-verify-canary"
        self.namespace.view(source).write_text(secrets.token_hex(16))
        result = self.nix.nix_store(["--add", str(source)])
        path = result.stdout.strip()
        if result.exit != 0 or not self.location.is_store_path(path):
            raise GhostError(f"the canary was not added: {result.complaint()}")
        if not self.upper(path).exists() or os.path.lexists(self.location.physical(path)):
            raise CanaryError(
                _ESCAPED, place=path, hint="remove that path with nix-store --delete, and tell the project"
            )

    @property
    def state(self) -> Path:
        """The private state directory, the same path inside and outside."""
        return self._scratch / "state"

    @property
    def database(self) -> Path:
        """The private database. Change it only while no Nix runs inside."""
        return self.state / "db" / "db.sqlite"

    def room(self, limit: int) -> Room:
        """Return all that is written inside, as seen from outside; it may take *limit* bytes, 0 for any."""
        return Room(self.namespace.view(self._room), limit)

    @property
    def upper_directory(self) -> Path:
        """What was added to the store, as seen from outside."""
        return self.namespace.view(self._room / "upper")

    def upper(self, path: str) -> Path:
        """Return where the store path *path* lies if it was added inside."""
        return self.upper_directory / base_name(path)

    def path(self, path: str) -> Path:
        """Return where the store path *path* can be read, as it is seen inside."""
        return self.namespace.view(self.location.physical(path))


def _link_all(source: Path, target: Path) -> None:
    """Link (or copy, between file systems) the additions of one upper layer into another."""
    for entry in sorted(source.iterdir()):
        if entry.is_char_device():
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, target / entry.name, symlinks=True, copy_function=_link)
        else:
            _link(str(entry), str(target / entry.name))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
            raise
        shutil.copy2(source, target, follow_symlinks=False)
