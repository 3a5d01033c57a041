"""The published file: an archive of a netboot image, or the image itself. The same input gives the same bytes."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import zstandard

from ec_closure import files
from ec_closure.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_CHUNK = 1 << 20
# Kernel and initial RAM disk are compressed already: a higher level costs minutes and gains nothing.
_LEVEL = 3
_SECOND = 1  # what files in a Nix store have


@dataclass(frozen=True)
class Packed:
    """A file to publish."""

    file: Path
    sha256: str
    size: int


def archive(target: Path, members: Mapping[str, Path], advance: Callable[[int], None]) -> Packed:
    """Write *members*, files by name, as ``.tar.zst`` to *target*: sorted, without owner, date or directory.

    The format is what `ec-netboot` stages: POSIX ustar in one zstd frame, with a checksum. Raises `LocalError`.
    """
    engine = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True, write_content_size=False, threads=0)

    def write(stream: IO[bytes]) -> None:
        with (
            engine.stream_writer(stream, closefd=False) as compressed,
            tarfile.open(fileobj=compressed, mode="w|", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for name, member in sorted(members.items()):
                with member.open("rb") as source:
                    header = tarfile.TarInfo(name)
                    header.size = member.stat().st_size
                    header.mode, header.mtime = 0o644, _SECOND
                    tar.addfile(header, _Counted(source, advance))

    return _written(target, write)


def copy(target: Path, image: Path, advance: Callable[[int], None]) -> Packed:
    """Write a copy of *image* to *target*. Raises `LocalError`."""

    def write(stream: IO[bytes]) -> None:
        with image.open("rb") as source:
            while chunk := source.read(_CHUNK):
                stream.write(chunk)
                advance(len(chunk))

    return _written(target, write)


class _Counted:
    """A file that tells how much of it was read."""

    def __init__(self, file: IO[bytes], advance: Callable[[int], None]) -> None:
        self._file, self._advance = file, advance

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._advance(len(data))
        return data


def _written(target: Path, write: Callable[[IO[bytes]], None]) -> Packed:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(target, mode=0o644) as stream:
            write(stream)
        with target.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            size = stream.tell()
    except OSError as error:
        raise LocalError(f"cannot be written: {error.strerror}", place=str(target)) from error
    return Packed(target, digest, size)
