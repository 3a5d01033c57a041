"""Symlinks inside a store that lies elsewhere: absolute targets are logical, and must stay inside it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ec_release.closure.errors import DamagedStoreError

if TYPE_CHECKING:
    from ec_release.closure.location import Location

_MAX_LINKS = 40


def resolve(location: Location, path: str) -> str:
    """Return the logical path that *path* leads to, every symlink on the way followed.

    Raises `DamagedStoreError` for a loop, and for a name that is not there.
    """
    pending = path.strip("/").split("/")[::-1]
    done: list[str] = []
    links = 0
    while pending:
        name = pending.pop()
        if name in {"", "."}:
            continue
        if name == "..":
            done[-1:] = []
            continue
        here = location.physical("/".join([*done, name]))
        try:
            target = os.readlink(here)  # noqa: PTH115 - the text itself: a Path would drop what it thinks redundant
        except FileNotFoundError as error:
            raise DamagedStoreError(f"leads to {here}, which is not there", place=path) from error
        except OSError:
            done.append(name)
            continue
        links += 1
        if links > _MAX_LINKS:
            raise DamagedStoreError(f"leads through more than {_MAX_LINKS} symlinks", place=path)
        if target.startswith("/"):
            done = []
        pending += target.strip("/").split("/")[::-1]
    return "/" + "/".join(done)
