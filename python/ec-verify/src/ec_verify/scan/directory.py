"""The store directory itself: whoever may write to it decides what lies in it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from ec_closure.policy import NO_RULES
from ec_verify.scan.metadata import Owner, strange_attributes
from ec_verify.scan.oddity import Oddity

if TYPE_CHECKING:
    from pathlib import Path

    from ec_closure.policy import Metadata

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def inspect_store(store: Path, rules: Metadata = NO_RULES) -> tuple[Owner, list[Oddity]]:
    """Return who should own the entries of the directory *store*, and what is wrong with the directory itself.

    *rules* are the policy's. Raises OSError when it cannot be opened. Not checked: the directories above it, and which
    group it has, for the name of the build users' group is the system's choice.
    """
    fd = os.open(store, _OPEN)
    try:
        owner = Owner.of(os.fstat(fd)).under(rules)
        return owner, inspect_directory(fd, "", owner)
    finally:
        os.close(fd)


def inspect_directory(fd: int, name: str, owner: Owner) -> list[Oddity]:
    """Return what is wrong with an open directory of Nix's own, called *name*. Raises OSError.

    Nix makes the store 1775 for its build users and 0755 where there are none: nobody else may write, and what a group
    may write to is sticky, so that no build removes what another one made.
    """
    status = os.fstat(fd)
    mode = stat.S_IMODE(status.st_mode)
    found = []
    shared = mode & stat.S_IWGRP and not mode & stat.S_ISVTX
    if mode & (stat.S_IWOTH | stat.S_ISUID | stat.S_ISGID) or shared:
        found.append(Oddity("mode", name, f"mode {mode:04o}"))
    if status.st_uid != owner.uid:
        found.append(Oddity("owner", name, f"owner {status.st_uid}, not {owner.uid}"))
    if strange := owner.strange(strange_attributes(fd, None)):
        found.append(Oddity("xattr", name, ", ".join(strange)))
    return found
