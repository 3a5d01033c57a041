"""The archive of a boot image, `….tar.zst`: unpacked a piece at a time, by hand, three names and nothing else.

Verified before it is read, and read as if it were not: names come from a fixed list, a link, a device or a directory
below the top is refused, sizes are capped, and neither a header nor a frame decides how much memory is taken.
Python's `tarfile` would read an extended header of any announced size at once.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final, NamedTuple

import zstandard

from ec_closure.decoding import excerpt
from ec_closure.errors import LimitError
from ec_netboot.errors import ArchiveError
from ec_netboot.release import ImageFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ec_netboot.release import FileName

KERNEL: Final = "kernel"
INITRD: Final = "initrd"
SCRIPT: Final = "netboot.ipxe"

NAMES: Final[dict[str, FileName]] = {
    "kernel": KERNEL,
    "bzImage": KERNEL,
    "Image": KERNEL,
    "initrd": INITRD,
    "netboot.ipxe": SCRIPT,
}
"""What an archive may hold, and what it is called here. NixOS calls the kernel by its format."""

LIMITS: Final[dict[FileName, int]] = {KERNEL: 256 << 20, INITRD: 8 << 30, SCRIPT: 64 << 10}
"""Bytes that each file may have. An initrd of a NixOS netboot image holds the whole store."""

_BLOCK: Final = 512
_CHUNK: Final = 1 << 20
_WINDOW: Final = 1 << 27  # what `zstd --ultra --long=27` needs; more is refused
_MAX_EXTENDED: Final = 64 << 10
_MAX_ENTRIES: Final = 32
_MAX_PADDING: Final = 1 << 20
_REGULAR: Final = (b"0", b"\0", b"7")
_EXTENDED: Final = (b"x", b"g")
_DIRECTORY: Final = b"5"
_KINDS: Final = {b"1": "a hard link", b"2": "a link", b"3": "a device", b"4": "a device", b"6": "a FIFO"}
# Extended headers that say nothing about where bytes go or how many there are.
_HARMLESS: Final = frozenset({"mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment", "charset"})
_HINT: Final = "make it with `tar --dereference -C DIR -c kernel initrd netboot.ipxe`, compressed by zstd"


class _Header(NamedTuple):
    name: str
    kind: bytes
    size: int


def unpack(source: IO[bytes], target: Path, *, what: str) -> dict[FileName, ImageFile]:
    """Unpack the boot image that *source* holds into the empty directory *target*; return its files, by name.

    Each file is flushed to disk. Raises `ArchiveError`, `LimitError`, and `OSError` from the disk. Not checked: whether
    *source* is what it should be, which is the caller's part, before; and whether the files boot.
    """
    found: dict[FileName, ImageFile] = {}
    with _decompressed(source, what) as stream:
        for header in _headers(stream, what):
            name = _accepted(header, what)
            if name is None:
                continue
            if name in found:
                raise ArchiveError(f"holds {name} twice", place=what, hint=_HINT)
            if header.size > LIMITS[name]:
                raise LimitError(f"{name} has {header.size} bytes where {LIMITS[name]} are accepted", place=what)
            found[name] = _write(stream, target / name, header.size, what)
    missing = {KERNEL, INITRD, SCRIPT} - found.keys()
    if missing:
        raise ArchiveError(f"holds no {', '.join(sorted(missing))}", place=what, hint=_HINT)
    return found


class _Stream:
    """Decompressed bytes in order. `read` gives exactly what is asked for: an archive that ends early is damaged."""

    def __init__(self, reader: zstandard.ZstdDecompressionReader, what: str) -> None:
        self._reader = reader
        self._what = what

    def some(self, size: int) -> bytes:
        """Return at most *size* bytes, none at the end."""
        try:
            return self._reader.read(min(size, _CHUNK))
        except (zstandard.ZstdError, MemoryError) as error:
            raise ArchiveError(f"is damaged: {excerpt(str(error))}", place=self._what) from error

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield *size* bytes in pieces."""
        while size:
            piece = self.some(size)
            if not piece:
                raise ArchiveError("ends in the middle of a file", place=self._what)
            size -= len(piece)
            yield piece

    def read(self, size: int) -> bytes:
        """Return *size* bytes, which must be few."""
        return b"".join(self.pieces(size))


@contextmanager
def _decompressed(source: IO[bytes], what: str) -> Iterator[_Stream]:
    engine = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    with engine.stream_reader(source, read_size=_CHUNK, read_across_frames=True, closefd=False) as reader:
        yield _Stream(reader, what)


def _headers(stream: _Stream, what: str) -> Iterator[_Header]:
    """Yield the header of each entry. Whoever takes one of a file reads its bytes before the next is asked for."""
    for _ in range(_MAX_ENTRIES):
        block = stream.read(_BLOCK)
        if block == bytes(_BLOCK):
            _check_end(stream, what)
            return
        header = _parse(block, what)
        if header.kind in _EXTENDED:
            if header.size > _MAX_EXTENDED:
                raise LimitError(f"an extended header of {header.size} bytes", place=what)
            _check_extended(stream.read(header.size), what)
            stream.read(-header.size % _BLOCK)
            continue
        yield header
        stream.read(-header.size % _BLOCK)
    raise LimitError(f"more than the {_MAX_ENTRIES} entries that are accepted", place=what)


def _parse(block: bytes, what: str) -> _Header:
    stored = _number(block[148:156], what)
    if stored != sum(block[:148]) + sum(block[156:]) + 8 * ord(" "):
        raise ArchiveError("is no tar archive", place=what, hint=_HINT)
    name, prefix = block[:100].split(b"\0", 1)[0], b""
    if block[257:263] == b"ustar\0":
        prefix = block[345:500].split(b"\0", 1)[0]
    full = (prefix + b"/" + name if prefix else name).decode(errors="backslashreplace")
    return _Header(full, block[156:157], _number(block[124:136], what))


def _number(field: bytes, what: str) -> int:
    text = field.strip(b" \0")
    if not text or not all(0x30 <= digit <= 0x37 for digit in text):  # noqa: PLR2004 - octal digits
        # Also GNU's base 256, which only sizes beyond 8 GiB need: such an image boots nowhere.
        raise ArchiveError("a number in a header is not octal", place=what, hint=_HINT)
    return int(text, 8)


def _check_extended(data: bytes, what: str) -> None:
    """Refuse extended headers that change a name, a size or a kind. Each is ``LENGTH KEY=VALUE`` and a line break."""
    rest = data
    while rest:
        length, space, _ = rest.partition(b" ")
        if not space or not length.isdigit() or len(length) > len(str(_MAX_EXTENDED)):
            raise ArchiveError("an extended header is malformed", place=what)
        record, rest = rest[: int(length)], rest[int(length) :]
        key, equals, _ = record[len(length) + 1 :].partition(b"=")
        if not equals or not record.endswith(b"\n"):
            raise ArchiveError("an extended header is malformed", place=what)
        name = key.decode(errors="backslashreplace")
        if name not in _HARMLESS:
            raise ArchiveError(f"an extended header sets {excerpt(name, 80)}", place=what, hint=_HINT)


def _check_end(stream: _Stream, what: str) -> None:
    """Read to the end: zeros alone may follow, as `tar` pads to its record size."""
    padding = 0
    while piece := stream.some(_CHUNK):
        padding += len(piece)
        if piece.strip(b"\0") or padding > _MAX_PADDING:
            raise ArchiveError("something follows the end of the archive", place=what)


def _accepted(header: _Header, what: str) -> FileName | None:
    """Return what the entry is called here, None for the top directory, which is nothing to unpack."""
    shown = excerpt(header.name, 80)
    bare = header.name.removeprefix("./")
    if header.kind == _DIRECTORY and bare in ("", ".") and not header.size:
        return None
    if header.kind not in _REGULAR:
        kind = _KINDS.get(header.kind, "a directory" if header.kind == _DIRECTORY else "no file")
        raise ArchiveError(f"{shown} is {kind}", place=what, hint=_HINT)
    if bare not in NAMES:
        raise ArchiveError(f"holds {shown!r}, which is no part of a boot image", place=what, hint=_HINT)
    return NAMES[bare]


def _write(stream: _Stream, file: Path, size: int, what: str) -> ImageFile:
    if not size:
        raise ArchiveError(f"{file.name} is empty", place=what)
    digest = hashlib.sha256()
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb") as written:
        for piece in stream.pieces(size):
            digest.update(piece)
            written.write(piece)
        written.flush()
        os.fchmod(written.fileno(), 0o644)
        os.fsync(written.fileno())
    return ImageFile(sha256=digest.hexdigest(), size=size)
