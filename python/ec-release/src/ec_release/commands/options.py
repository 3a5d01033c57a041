"""Options that several subcommands share, and what is read from them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - cyclopts reads annotations at run time
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ec_closure.errors import UsageError
from ec_release.commands.place import Place
from ec_release.errors import KeyFileError
from ec_release.trust.initialise import PINNED
from ec_release.trust.keys import load_ring
from ec_release.trust.roles import Periods
from ec_release.trust.update import Signing

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_ROOT = 256 << 10


@Parameter(name="*")
@dataclass(frozen=True)
class Days:
    """Days until new signatures expire."""

    root_days: Annotated[int, Parameter(help="Validity of a new root.")] = Periods.root_days
    targets_days: Annotated[int, Parameter(help="Validity of targets metadata.")] = Periods.targets_days
    snapshot_days: Annotated[int, Parameter(help="Validity of snapshot metadata.")] = Periods.snapshot_days
    timestamp_days: Annotated[int, Parameter(help="Validity of the timestamp.")] = Periods.timestamp_days

    def periods(self) -> Periods:
        """Return them as the library has them. Raises `UsageError`."""
        if min(self.root_days, self.targets_days, self.snapshot_days, self.timestamp_days) < 1:
            raise UsageError("a validity is at least one day")
        return Periods(self.root_days, self.targets_days, self.snapshot_days, self.timestamp_days)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Repository(Place):
    """Where is published, and what signs."""

    keys: Annotated[
        tuple[Path, ...], Parameter(help="A directory of private keys; may be given more than once.", negative=())
    ]
    root: Annotated[
        Path | None,
        Parameter(help="The root that published metadata must follow from [root.json beside the keys]."),
    ] = None
    time: Annotated[str | None, Parameter(help="Sign as if it were this time (2026-11-20T21:00:00Z) [now].")] = None
    json: Annotated[bool, Parameter(help="Print the result as JSON.", negative=())] = False

    def signing(self, days: Days) -> Signing:
        """Return the keys and the time. Raises `KeyFileError`, `UsageError`."""
        return Signing(load_ring(self.keys), read_time(self.time), days.periods())

    def pinned(self) -> bytes:
        """Return the pinned root. Raises `KeyFileError` when there is none."""
        return pinned_root(self.root, self.keys)


def pinned_root(root: Path | None, directories: Iterable[Path]) -> bytes:
    """Return the pinned root: *root*, or the one beside the keys in *directories*. Raises `KeyFileError`."""
    path = root or next((keys / PINNED for keys in directories if (keys / PINNED).exists()), None)
    if path is None:
        raise KeyFileError(
            f"no {PINNED} beside the keys",
            hint="name the pinned root with --root: only what follows from it is built upon",
        )
    return read_root(path)


def read_root(path: Path) -> bytes:
    """Return the bytes of a root file. Raises `KeyFileError`."""
    try:
        with path.open("rb") as file:
            return file.read(_MAX_ROOT)
    except OSError as error:
        raise KeyFileError(f"cannot be read: {error.strerror}", place=str(path)) from error


def read_time(text: str | None) -> datetime:
    """Return the time that *text* names (ISO 8601; without a zone, UTC), or now."""
    if text is None:
        return datetime.now(UTC)
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no time", hint="write 2026-11-20T21:00:00Z") from error
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
