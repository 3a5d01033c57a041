"""What a place to publish to must offer. The seam where a release server stands in for a directory.

A release is a *draft* until it is published: readers do not see it. Assets of a published release
never change. Metadata `N.*.json` are added and never change; `timestamp.json` alone is replaced.
Where a place can hold two assets of one name, finding two in what is published is a `BackendError`: readers would get
either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


class ReleaseBackend(Protocol):
    """A place to publish to. Methods raise `BackendError` when it fails, `ConflictError` for other bytes."""

    def locked(self) -> AbstractContextManager[None]:
        """Hold the place for one publisher."""
        ...

    def published(self, tag: str) -> frozenset[str] | None:
        """Return the asset names of the published release *tag*, None when there is none."""
        ...

    def draft(self, tag: str) -> frozenset[str]:
        """Open the draft of *tag*, making it when there is none; return the names of the assets it already holds."""
        ...

    def upload(self, tag: str, name: str, length: int, chunks: Callable[[], Iterator[bytes]]) -> None:
        """Put an asset of *length* bytes into the draft of *tag*, in place of one of that name.

        *chunks* gives its bytes, anew for each attempt. What arrived in part does not stay.
        """
        ...

    def discard(self, tag: str, name: str) -> None:
        """Take an asset out of the draft of *tag*."""
        ...

    def read(self, tag: str, name: str) -> Iterator[bytes]:
        """Read an asset back, from the draft of *tag* or from the published release."""
        ...

    def publish(self, tag: str) -> None:
        """Let readers see the draft of *tag*, all of it at once."""
        ...

    def metadata_names(self) -> frozenset[str]:
        """Return the names of all metadata files."""
        ...

    def read_metadata(self, name: str) -> bytes:
        """Return one metadata file."""
        ...

    def add_metadata(self, name: str, data: bytes) -> None:
        """Add `N.<role>.json`. The same bytes again change nothing; other bytes are a `ConflictError`."""
        ...

    def replace_timestamp(self, data: bytes) -> None:
        """Replace `timestamp.json`; readers see the old one or the new one."""
        ...
