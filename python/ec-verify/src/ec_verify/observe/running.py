"""What runs, by the links and the kernel's own word."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ec_closure.store_path import StorePath, StorePathError

if TYPE_CHECKING:
    from ec_verify.config_tables import SystemTable
    from ec_verify.location import StoreLocation

_COMMAND_LINE = Path("/proc/cmdline")
_MAX_HOPS = 40


@dataclass(frozen=True)
class Running:
    """Logical store paths that links name; None where a link is absent or leads out of the store.

    *generations* are the other systems of the profile, which have manifests of their own.
    *command_line_init* is the store path of `init=` on the kernel's command line, or its text where that leads out
    of the store; None without one, and when this is not the running machine's root. *has_profile* is False where
    there is neither the profile's link nor a generation, as on netboot and ISO systems.
    """

    current: str | None
    booted: str | None
    profile: str | None
    generations: tuple[str, ...] = ()
    command_line_init: str | None = None
    unobserved: tuple[str, ...] = ()
    has_profile: bool = True

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems beside the running one that have a part in what this machine does: booted, next, and others."""
        return tuple(path for path in (self.booted, self.profile, *self.generations) if path is not None)


def observe(location: StoreLocation, system: SystemTable) -> Running:
    """Follow the links that say what runs. Does not judge whether they agree."""
    unobserved = []
    init = None
    if location.is_chroot:
        unobserved.append("kernel command line: another root is examined")
    else:
        try:
            init = _init(_COMMAND_LINE.read_text(errors="backslashreplace"), location)
        except OSError as error:
            unobserved.append(f"kernel command line: {error.strerror}")
    profile = location.physical(system.profile)
    links = list(profile.parent.glob(f"{profile.name}-*-link"))
    generations = sorted(
        {
            target
            for link in links
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
        has_profile=bool(links) or os.path.lexists(profile),
    )


def store_path_behind(location: StoreLocation, link: str) -> str | None:
    """Resolve the logical path *link* under the store's root and return the store path it ends in, if any.

    What the last link names need not exist. None for links that lead out of the store or in a circle, and for names
    in the store directory that no store path can have.
    """
    found = follow(location, link)
    return None if found is None else containing(location, found)


def follow(location: StoreLocation, link: str) -> str | None:
    """Resolve the logical path *link* under the store's root, and return the logical path that it ends in.

    Every component is resolved by hand, because absolute links inside another root mean that root. What the last link
    names need not exist, and a store path that is a link itself is not followed. None for links in a circle.
    """
    todo = deque(link.split("/"))
    current = ""  # what is resolved so far: empty for the root, else a path that starts with one slash
    hops = 0
    while todo:
        part = todo.popleft()
        if part in ("", "."):
            continue
        if part == "..":
            current = current.rpartition("/")[0]
            continue
        candidate = f"{current}/{part}"
        if location.is_store_path(candidate) and not any(todo):
            current = candidate  # the object itself, even if it is a symlink
            continue
        try:
            target = os.readlink(location.physical(candidate))  # noqa: PTH115 - the text itself, not a path
        except (OSError, ValueError):  # no link, or a name that no file can have
            current = candidate
            continue
        hops += 1
        if hops > _MAX_HOPS:
            return None
        todo.extendleft(reversed(target.split("/")))
        current = "" if target.startswith("/") else current
    return current


def copied(location: StoreLocation, current: str | None, path: str) -> bool:
    """Tell whether the system *current* copies the logical *path* of /etc, for its mode: `observe.etc` compares it."""
    origin = follow(location, f"{current}/etc") if current is not None else None
    if origin is None or not path.startswith("/etc/") or containing(location, origin) is None:
        return False
    return os.path.lexists(location.physical(f"{origin}{path.removeprefix('/etc')}.mode"))


def containing(location: StoreLocation, path: str) -> str | None:
    """Return the store path that the logical *path*, which is resolved, lies in; None outside the store."""
    prefix = location.store_dir + "/"
    if not path.startswith(prefix):
        return None
    name = path.removeprefix(prefix).split("/", 1)[0]
    try:
        return StorePath.parse_base(name).within(location.store_dir)
    except StorePathError:
        return None


def _init(command_line: str, location: StoreLocation) -> str | None:
    words = [word.removeprefix("init=") for word in command_line.split() if word.startswith("init=")]
    if not words:
        return None
    # The last one counts, to the kernel and to the initrd. The file itself may be a link out of its system.
    return store_path_behind(location, words[-1].rpartition("/")[0]) or words[-1] or None
