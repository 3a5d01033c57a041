"""Files that a process executes from, as the kernel lists them in /proc/PID/maps. See proc_pid_maps(5)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(
    rb"(?P<range>[0-9a-f]+-[0-9a-f]+) (?P<rights>[r-][w-][x-][ps]) [0-9a-f]+ "
    rb"(?P<device>[0-9a-f]+:[0-9a-f]+) (?P<inode>\d+) *(?P<path>.*)"
)
_DELETED = b" (deleted)"
# Memory that only looks like files: of devices, of programs that write code as they run.
_NO_FILES = (b"/SYSV", b"anon_inode:", b"/memfd:", b"/dev/zero", b"/dev/dri/", b"/dev/nvidia", b"/drm mm object", b"[")


@dataclass(frozen=True)
class ExecutableMap:
    """An executable mapping of a file: its *path* as the kernel spells it, and the *range* that names it."""

    path: bytes
    device: bytes
    inode: int
    range: str
    deleted: bool


def parse(maps: bytes) -> tuple[ExecutableMap, ...]:
    """Return the executable mappings of files, each file once. Lines that follow no format are passed over.

    The kernel escapes line feeds in names; a name that ends in " (deleted)" cannot be told from a deleted file.
    """
    found: dict[tuple[bytes, bytes, bytes], ExecutableMap] = {}
    for line in maps.split(b"\n"):
        match = _LINE.fullmatch(line)
        if match is None or match["rights"][2:3] != b"x" or match["inode"] == b"0":
            continue
        path = match["path"]
        if not path or path.startswith(_NO_FILES):
            continue
        key = (path, match["device"], match["inode"])
        if key not in found:
            deleted = path.endswith(_DELETED)
            found[key] = ExecutableMap(
                path.removesuffix(_DELETED).replace(b"\\012", b"\n"),
                match["device"],
                int(match["inode"][:20]),
                match["range"].decode(),
                deleted,
            )
    return tuple(found.values())
