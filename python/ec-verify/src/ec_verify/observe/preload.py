"""Libraries that the dynamic linker loads into every program, asked or not.

See ld.so(8). The loader of nixpkgs reads /etc/ld-nix.so.preload in place of /etc/ld.so.preload, which other loaders
(of foreign programs, of containers that share /etc) still read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_verify.observe.places import read, said, text
from ec_verify.observe.running import follow

if TYPE_CHECKING:
    from ec_verify.observe.places import HostPlaces

FILES = ("ld-nix.so.preload", "ld.so.preload")
_VARIABLES = ("LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH")
_MAX_FILE = 64 << 10
_MAX_ENVIRONMENT = 4 << 20
_MANAGER = "1"


@dataclass(frozen=True)
class Preload:
    """Where something is preloaded from: a file of /etc, or a variable of the first process. *words* are what it names.

    *own* tells whether the running system's etc has the very same file.
    """

    where: str
    words: tuple[str, ...]
    own: bool


@dataclass(frozen=True)
class Preloads:
    """What is preloaded. *gaps* say what could not be read."""

    found: tuple[Preload, ...] = ()
    gaps: tuple[str, ...] = ()


def observe(places: HostPlaces, current: str | None) -> Preloads:
    """Read the preload files, and the environment of the first process where the kernel is the machine's own."""
    found, gaps = [], []
    for name in FILES:
        path = f"/etc/{name}"
        target = follow(places.location, path)
        own = target is not None and current is not None and target == follow(places.location, f"{current}{path}")
        try:
            words = text(read(places.physical(target or path), _MAX_FILE)).replace(":", " ").split()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            gaps.append(f"{path}: {said(error)}")
            continue
        found.append(Preload(path, tuple(words), own))
    if places.own_kernel:
        found += _environment(places, gaps)
    return Preloads(tuple(found), tuple(gaps))


def _environment(places: HostPlaces, gaps: list[str]) -> list[Preload]:
    path = places.proc / _MANAGER / "environ"
    try:
        variables = read(path, _MAX_ENVIRONMENT).split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return []
    except OSError as error:
        gaps.append(f"environment of the first process: {said(error)}")
        return []
    pairs = [text(one).partition("=") for one in variables]
    return [
        Preload(f"{name} of the first process", tuple(value.replace(":", " ").split()), own=False)
        for name, _, value in pairs
        if name in _VARIABLES and value
    ]
