"""What another process fetched, as a source like any server: nothing in it is believed for where it lies.

The process that speaks to the network has no rights, and a state directory (`ec_fetch.state`) of its own. Whoever
writes there can withhold what a server showed; to forge it, or to show this machine less than it has seen, takes the
same keys as on the way from the server.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ec_closure import canonical, foreign
from ec_closure.errors import EcError
from ec_closure.foreign import ForeignFileError
from ec_fetch.errors import MirrorError, NoMetadataError
from ec_fetch.state import BUNDLE, TARGETS, LastVerified

if TYPE_CHECKING:
    from pathlib import Path

    from ec_fetch.targets import ClosureTarget

_MAX_BUNDLE = 32 << 20
"""Less than a client may keep for itself, and twice what all roles may have besides roots: it is somebody else's."""
_HINT = "run `ec-verify fetch` again; if it was not it that wrote there, find out who did"


class Mirror:
    """The state directory *directory* of another process's client. Nothing is written there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self) -> LastVerified:
        """Return the metadata that lie there. Raises `NoMetadataError`, `MirrorError`."""
        place = str(self._directory / BUNDLE)
        data = self._read(BUNDLE, _MAX_BUNDLE)
        if data is None:
            raise NoMetadataError("nothing was fetched yet", place=str(self._directory), hint="run `ec-verify fetch`")
        try:
            return canonical.decode(data, LastVerified, what=place, max_bytes=_MAX_BUNDLE)
        except EcError as error:
            raise MirrorError(error.message, place=error.place, hint=_HINT) from error

    def target(self, target: ClosureTarget) -> bytes | None:
        """Return the bytes of *target*, None where they are not there. Raises `MirrorError` for any other bytes."""
        data = self._read(f"{TARGETS}/{target.sha256}", target.length)
        if data is None:
            return None
        if len(data) != target.length or hashlib.sha256(data).hexdigest() != target.sha256:
            place = str(self._directory / TARGETS / target.sha256)
            raise MirrorError(f"is not {target.name} as it was signed", place=place, hint=_HINT)
        return data

    def _read(self, name: str, limit: int) -> bytes | None:
        try:
            return foreign.read(self._directory, name, limit)
        except ForeignFileError as error:
            raise MirrorError(error.message, place=error.place, hint=error.hint or _HINT) from error
