"""The client's memory: what a node has seen, so that nobody can show it less.

    <state_dir>/lock                 held while a refresh runs
    <state_dir>/metadata/            the TUF library's own memory, written as each file is verified
    <state_dir>/metadata/root_history/N.root.json
    <state_dir>/last-verified.json   the last *complete* state, one file, replaced by a rename
    <state_dir>/targets/<sha256>     downloaded manifests

Two memories because of interruptions: the library must remember a newer timestamp even if the
snapshot could not be fetched (rollback protection), while an offline node needs a state that is whole.

The library silently ignores a file of its memory that does not parse, which forgets what was seen.
`check` therefore looks first and refuses. Nothing here protects against root on this machine.
"""

from __future__ import annotations

import fcntl
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from ec_closure import canonical, files
from ec_closure.errors import EcError
from ec_closure.record import Count, Record
from ec_fetch import strict
from ec_fetch.errors import DamagedStateError, NoMetadataError, StateBusyError, StateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ROLES = ("timestamp", "snapshot", "targets")
BUNDLE = "last-verified.json"
TARGETS = "targets"
_ROOT_NAME = re.compile(r"([1-9][0-9]{0,9})\.root\.json")
_BUNDLE_MAX = 128 << 20
_FRESH = "if it was not you who changed it, find out who did; to start anew, move the whole directory away"


class LastVerified(Record, frozen=True, kw_only=True):
    """The last complete state: metadata files by name, and when they were fetched (seconds since 1970, local)."""

    schema: Literal["ec-runner.last-verified.v1"] = "ec-runner.last-verified.v1"
    refreshed: Count
    files: dict[str, bytes]


class StateDirectory:
    """The directory *path*; made when it is not there. Raises `StateError` when it cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.metadata = path / "metadata"
        self.roots = self.metadata / "root_history"
        self.bundle = path / BUNDLE
        self.targets = path / TARGETS
        with _local(path):
            self.roots.mkdir(parents=True, exist_ok=True)
            self.targets.mkdir(exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for one refresh. Raises `StateBusyError` when somebody else does."""
        with _local(self.path), (self.path / "lock").open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StateBusyError(
                    "another process refreshes", place=str(self.path), hint="wait until it has finished"
                ) from error
            yield

    def load(self) -> LastVerified:
        """Return the last complete state, not yet verified again. Raises `NoMetadataError`, `DamagedStateError`."""
        with _local(self.bundle):
            try:
                data = self.bundle.read_bytes()
            except FileNotFoundError as error:
                raise NoMetadataError(
                    "no metadata were verified here yet",
                    place=str(self.path),
                    hint="bring the node online once, and keep this directory across reboots",
                ) from error
        try:
            return canonical.decode(data, LastVerified, what=str(self.bundle), max_bytes=_BUNDLE_MAX)
        except EcError as error:
            raise _damaged(self.bundle, error.message) from error

    def collect(self, refreshed: int) -> LastVerified:
        """Return what the library has just verified, flushed to disk."""
        with _local(self.path):
            found = {f"{role}.json": (self.metadata / f"{role}.json").read_bytes() for role in ROLES}
            found |= {path.name: path.read_bytes() for path in self._root_files()}
            for name in found:
                files.sync((self.roots if name.endswith(".root.json") else self.metadata) / name)
            files.sync_directory(self.roots)
            files.sync_directory(self.metadata)
        return LastVerified(refreshed=refreshed, files=found)

    def save(self, record: LastVerified) -> None:
        """Keep *record* as the last complete state."""
        with _local(self.bundle), files.replacing(self.bundle) as file:
            file.write(canonical.encode(record))

    def check(self, pinned: bytes) -> None:
        """Raise `DamagedStateError` unless all that was remembered is still there, whole, and of the *pinned* root."""
        root = Metadata[Root].from_bytes(pinned)
        chain = self._check_roots(root)
        try:
            last: Mapping[str, bytes] = self.load().files
        except NoMetadataError:
            last = {}
        newest = max((_number(name) for name in last if name.endswith(".root.json")), default=0)
        if newest > max(root.signed.version, *chain):
            raise _damaged(self.roots / f"{newest}.root.json", "is missing although it was verified before")
        for role in ROLES:
            self._check_role(role, [root.signed, *chain.values()], last.get(f"{role}.json"))

    def _check_roots(self, pinned: Metadata[Root]) -> dict[int, Root]:
        """Return the remembered roots by version; those after the pinned one must follow it without a gap."""
        with _local(self.roots):
            found = {_number(path.name): path for path in self._root_files()}
        roots: dict[int, Root] = {0: pinned.signed}
        previous = pinned.signed
        for version in sorted(found):
            path = found[version]
            root: Metadata[Root] = self._parse(path, "root")
            signed = root.signed
            if signed.version != version:
                raise _damaged(path, f"holds version {signed.version}")
            if version == pinned.signed.version and root.signed_bytes != pinned.signed_bytes:
                raise _damaged(
                    path, "is another root than the pinned one: this directory belongs to another trust root"
                )
            if version > pinned.signed.version:
                if version != previous.version + 1:
                    raise _damaged(path.with_name(f"{previous.version + 1}.root.json"), "is missing")
                if not signed.get_root_verification_result(previous, root.signed_bytes, root.signatures):
                    raise _damaged(path, "does not follow from the pinned root")
                previous = signed
            roots[version] = signed
        return roots

    def _check_role(self, role: str, roots: list[Root], last: bytes | None) -> None:
        path = self.metadata / f"{role}.json"
        if not path.exists():
            if last is not None:
                raise _damaged(path, "is missing although it was verified before")
            return
        found = self._parse(path, role)
        # Any remembered root will do: after a rotation the library itself forgets what the old key signed, as TUF's
        # recovery from a fast-forward attack demands. Here only damage is looked for.
        if not any(root.get_verification_result(role, found.signed_bytes, found.signatures) for root in roots):
            raise _damaged(path, "carries no signature of a key that this node ever accepted")
        if last is not None and found.signed.version < Metadata.from_bytes(last).signed.version:
            raise _damaged(path, "is older than what was verified before")

    def _parse(self, path: Path, role: str) -> Metadata[Any]:
        with _local(path):
            data = path.read_bytes()
        try:
            strict.check(data, what=str(path), max_bytes=strict.LIMITS[role])
            found: Metadata[Any] = Metadata.from_bytes(data)
        except (EcError, RepositoryError) as error:
            raise _damaged(path, "is no metadata any more") from error
        if found.signed.type != role:
            raise _damaged(path, f"is a {found.signed.type} file")
        return found

    def _root_files(self) -> list[Path]:
        return [path for path in self.roots.iterdir() if _ROOT_NAME.fullmatch(path.name)]

    def prune(self, kept: int) -> None:
        """Forget all but the *kept* newest downloaded targets."""
        with _local(self.targets):
            found = sorted(self.targets.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
            for path in found[kept:]:
                path.unlink(missing_ok=True)


def _number(name: str) -> int:
    match = _ROOT_NAME.fullmatch(name)
    return int(match[1]) if match else 0


def _damaged(path: Path, message: str) -> DamagedStateError:
    return DamagedStateError(message, place=str(path), hint=_FRESH)


@contextmanager
def _local(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateError(
            error.strerror or str(error),
            place=str(error.filename or place),
            hint="the state directory must be writable and have room",
        ) from error
