"""Loaded kernel modules, and the files of the booted system that they should come from."""

from __future__ import annotations

import lzma
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import zstandard

from ec_closure.files import open_regular
from ec_verify.observe.elf import build_id, build_id_of_module
from ec_verify.observe.places import read, text

if TYPE_CHECKING:
    from pathlib import Path

_MAX_LIST = 16 << 20
_MAX_NOTES = 64 << 10
_HEAD = 32 << 10
_COMPRESSED_HEAD = 256 << 10
_SUFFIXES = (".ko", ".ko.xz", ".ko.zst", ".ko.gz")
_TAINT = 6


@dataclass(frozen=True)
class KernelModule:
    """A loaded module. *file* is its place in the booted system's modules, None when it has none there.

    *build_id* is the running one's, *file_build_id* the file's; None where there is none or it cannot be read.
    *taint* are the letters that the kernel gives it.
    """

    name: str
    taint: str = ""
    file: str | None = None
    build_id: str | None = None
    file_build_id: str | None = None


def parse_loaded(modules: bytes) -> tuple[tuple[str, str], ...]:
    """Return names and taint letters from /proc/modules; lines that follow no format are passed over."""
    found = []
    for line in modules.split(b"\n"):
        fields = line.split()
        if len(fields) < _TAINT:
            continue
        last = fields[-1]
        taint = text(last[1:-1]) if last.startswith(b"(") and last.endswith(b")") else ""
        found.append((text(fields[0]), taint.strip("+-")))
    return tuple(found)


def parse_dependencies(modules_dep: bytes) -> dict[str, str]:
    """Return the file of each module by its name, from modules.dep. See modules.dep(5)."""
    found = {}
    for line in modules_dep.split(b"\n"):
        file = text(line.partition(b":")[0].strip())
        base = file.rpartition("/")[2]
        for suffix in _SUFFIXES:
            if base.endswith(suffix):
                found[base.removesuffix(suffix).replace("-", "_")] = file
    return found


def observe(proc: Path, sys: Path, directory: Path) -> tuple[KernelModule, ...]:
    """Return the loaded modules; *directory* holds the booted system's modules for the running release.

    Raises `OSError` when the kernel's list cannot be read. A kernel without loadable modules has none.
    """
    try:
        loaded = parse_loaded(read(proc / "modules", _MAX_LIST))
    except FileNotFoundError:
        return ()
    try:
        files = parse_dependencies(read((directory / "modules.dep").resolve(), _MAX_LIST))
    except FileNotFoundError:
        files = {}
    return tuple(_look(sys, directory, files, name, taint) for name, taint in loaded)


def _look(sys: Path, directory: Path, files: dict[str, str], name: str, taint: str) -> KernelModule:
    file = files.get(name.replace("-", "_"))
    if file is None or "/" in name:
        return KernelModule(name, taint)
    try:
        running = build_id(read(sys / "module" / name / "notes/.note.gnu.build-id", _MAX_NOTES))
    except OSError:
        running = None
    try:
        stored = build_id_of_module(_head(directory / file)) if running is not None else None
    except OSError:
        return KernelModule(name, taint)  # listed, but not there
    return KernelModule(name, taint, file, running, stored)


def _head(file: Path) -> bytes:
    """Return the first bytes of a module, unpacked; none when it cannot be unpacked. Raises `OSError`."""
    with open_regular(file.resolve()) as stream:
        data = stream.read(_COMPRESSED_HEAD)
    try:
        if file.name.endswith(".xz"):
            return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=256 << 20).decompress(data, _HEAD)
        if file.name.endswith(".zst"):
            with zstandard.ZstdDecompressor().stream_reader(data) as reader:
                return reader.read(_HEAD)
        if file.name.endswith(".gz"):
            return zlib.decompressobj(31).decompress(data, _HEAD)
    except (lzma.LZMAError, zstandard.ZstdError, zlib.error, EOFError):
        return b""
    return data[:_HEAD]
