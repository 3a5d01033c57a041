"""A directory that looks like a release server's downloads, to be served by any web server or read as files.

    <root>/download/<tag>/<asset>
    <root>/download/trust/<metadata>
    <root>/.drafts/<tag>/<asset>     what is not published yet; outside what is served
    <root>/.aside/                   files being written
    <root>/.lock

Everything becomes visible by a rename of something that is whole and flushed to disk.
"""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ec_closure import files
from ec_release.errors import BackendError, ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

TRUST = "trust"
_TIMESTAMP = "timestamp.json"
_CHUNK = 1 << 20
_MAX_METADATA = 16 << 20


class DirectoryBackend:
    """Publishes into the directory *root*, which is made when it is not there. Implements `ReleaseBackend`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.download = root / "download"
        self.trust = self.download / TRUST
        self._drafts = root / ".drafts"
        self._aside = root / ".aside"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory; also sweeps away what an interrupted publisher left half written."""
        with _local(self.root):
            for directory in (self.root, self.download, self.trust, self._drafts, self._aside):
                _make(directory)
            lock = (self.root / ".lock").open("wb")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BackendError(
                    "another publisher is at work here", place=str(self.root), hint="wait until it has finished"
                ) from error
            with _local(self.root):
                for path in self._aside.iterdir():
                    path.unlink()
            yield

    def published(self, tag: str) -> frozenset[str] | None:
        """Return the asset names of the published release *tag*, None when there is none."""
        return self._names(self.download / tag)

    def draft(self, tag: str) -> frozenset[str]:
        """Open the draft of *tag*; return the names of the assets it already holds."""
        with _local(self._drafts):
            _make(self._drafts / tag)
        return self._names(self._drafts / tag) or frozenset()

    def upload(self, tag: str, name: str, length: int, chunks: Callable[[], Iterator[bytes]]) -> None:  # noqa: ARG002 - the protocol's signature
        """Put an asset into the draft of *tag*. Its length is seen when it is read back."""
        self._write(self._drafts / tag / name, chunks())

    def discard(self, tag: str, name: str) -> None:
        """Take an asset out of the draft of *tag*."""
        with _local(self._drafts):
            (self._drafts / tag / name).unlink()

    def read(self, tag: str, name: str) -> Iterator[bytes]:
        """Read an asset back."""
        directory = self._drafts / tag
        path = (directory if directory.is_dir() else self.download / tag) / name
        with _local(path), path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def publish(self, tag: str) -> None:
        """Let readers see the draft of *tag*."""
        target = self.download / tag
        with _local(target):
            (self._drafts / tag).rename(target)
            files.sync_directory(self.download)
            files.sync_directory(self._drafts)

    def metadata_names(self) -> frozenset[str]:
        """Return the names of all metadata files."""
        return self._names(self.trust) or frozenset()

    def read_metadata(self, name: str) -> bytes:
        """Return one metadata file."""
        path = self.trust / name
        with _local(path), path.open("rb") as file:
            data = file.read(_MAX_METADATA + 1)
        if len(data) > _MAX_METADATA:
            raise BackendError("is larger than any metadata", place=str(path))
        return data

    def add_metadata(self, name: str, data: bytes) -> None:
        """Add `N.<role>.json`; never overwrites."""
        path = self.trust / name
        if path.exists():
            if self.read_metadata(name) != data:
                raise ConflictError(
                    "exists with other bytes; numbered metadata are added and never changed", place=str(path)
                )
            return
        self._write(path, (data,))

    def replace_timestamp(self, data: bytes) -> None:
        """Replace `timestamp.json`."""
        self._write(self.trust / _TIMESTAMP, (data,))

    def _write(self, path: Path, chunks: Iterable[bytes]) -> None:
        with _local(path), files.replacing(path, mode=0o644, aside=self._aside) as file:
            for chunk in chunks:
                file.write(chunk)

    def _names(self, directory: Path) -> frozenset[str] | None:
        with _local(directory):
            try:
                return frozenset(path.name for path in directory.iterdir())
            except FileNotFoundError:
                return None


def _make(directory: Path) -> None:
    """Make a directory that a web server may enter, whatever the publisher's umask; leave one that is there."""
    if not directory.is_dir():
        directory.mkdir(parents=True)
        directory.chmod(0o755)


@contextmanager
def _local(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackendError(error.strerror or str(error), place=str(error.filename or place)) from error
