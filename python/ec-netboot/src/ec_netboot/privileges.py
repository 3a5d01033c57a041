"""Giving up root, for good."""

from __future__ import annotations

import os
import pwd

from ec_netboot.errors import ServeError


def drop(user: str) -> None:
    """Become *user*, if this process is root and a user is named; then nothing of root's is left to come back to.

    Raises `ServeError` when there is no such user, or it is root.
    """
    if not user or os.geteuid() != 0:
        return
    try:
        found = pwd.getpwnam(user)
    except KeyError as error:
        raise ServeError(f"there is no user {user}", place="user", hint="make it, or leave `user` empty") from error
    if found.pw_uid == 0:
        raise ServeError(f"{user} is root", place="user")
    os.setgroups([])
    os.setresgid(found.pw_gid, found.pw_gid, found.pw_gid)
    os.setresuid(found.pw_uid, found.pw_uid, found.pw_uid)
