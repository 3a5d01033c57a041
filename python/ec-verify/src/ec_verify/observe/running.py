"""What runs, by the links and the kernel's own word."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ec_verify.errors import ConfigError

if TYPE_CHECKING:
    from ec_verify.config import SystemTable
    from ec_verify.location import StoreLocation

_MAX_HOPS = 40


@dataclass(frozen=True)
class Running:
    """Logical store paths that links name; None where a link is absent or leads out of the store.

    *generations* are the other systems of the profile, which have manifests of their own.
    *command_line_init* is the `init=` of the kernel's command line, None when this is not the
    running machine's root.
    """

    current: str | None
    booted: str | None
    profile: str | None
    generations: tuple[str, ...] = ()
    command_line_init: str | None = None
    unobserved: tuple[str, ...] = ()


def observe(location: StoreLocation, system: SystemTable) -> Running:
    """Follow the links that say what runs. Does not judge whether they agree."""
    unobserved = []
    init = None
    if location.is_chroot:
        unobserved.append("kernel command line: another root is examined")
    else:
        init = _init(Path("/proc/cmdline").read_text(errors="replace"), location)
    profile = location.physical(system.profile)
    generations = sorted(
        {
            target
            for link in profile.parent.glob(f"{profile.name}-*-link")
            if (target := store_path_behind(location, f"{system.profile.rpartition('/')[0]}/{link.name}")) is not None
        }
    )
    return Running(
        current=store_path_behind(location, system.current),
        booted=store_path_behind(location, system.booted),
        profile=store_path_behind(location, system.profile),
        generations=tuple(generations),
        command_line_init=init,
        unobserved=tuple(unobserved),
    )


def store_path_behind(location: StoreLocation, link: str) -> str | None:
    """Resolve the logical path *link* under the store's root and return the store path it ends in, if any.

    Every component is resolved by hand, because absolute links inside another root mean that root.
    What the last link names need not exist. Raises `ConfigError` for a loop.
    """
    todo = deque(link.strip("/").split("/"))
    current = ""
    hops = 0
    while todo:
        part = todo.popleft()
        if part in ("", "."):
            continue
        candidate = os.path.normpath(f"{current}/{part}")
        try:
            if location.is_store_path(candidate) and not todo:
                return candidate
            target = os.readlink(location.physical(candidate))  # noqa: PTH115 - the text itself, not a path
        except OSError:
            current = candidate
            continue
        hops += 1
        if hops > _MAX_HOPS:
            raise ConfigError(f"more than {_MAX_HOPS} symlinks in a row", place=link)
        todo.extendleft(reversed(target.split("/")))
        current = "" if target.startswith("/") else current
    return _containing(location, current)


def _containing(location: StoreLocation, path: str) -> str | None:
    prefix = location.store_dir + "/"
    if not path.startswith(prefix):
        return None
    return prefix + path.removeprefix(prefix).split("/", 1)[0]


def _init(command_line: str, location: StoreLocation) -> str | None:
    for word in command_line.split():
        if word.startswith("init="):
            return _containing(location, word.removeprefix("init="))
    return None
