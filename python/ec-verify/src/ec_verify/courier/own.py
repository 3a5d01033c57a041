"""The courier's directory, from the side of who writes there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ec_verify.errors import StateError
from ec_verify.state import failed

if TYPE_CHECKING:
    from pathlib import Path

    from ec_verify.config import Config


def opened(config: Config) -> Path:
    """Return the courier's directory, made where it is missing. Raises `StateError` when it is somebody else's.

    Whoever writes into a directory that others can write to may be led anywhere by a link, root most of all.
    """
    directory = config.courier_dir
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        owner = directory.stat().st_uid
    except OSError as error:
        raise failed(error, directory) from error
    if owner != os.geteuid():
        raise StateError(
            f"belongs to user {owner}, and this is user {os.geteuid()}",
            place=str(directory),
            hint=f"run it as that user (setpriv --reuid {owner} …), or name another courier.directory",
        )
    return directory
