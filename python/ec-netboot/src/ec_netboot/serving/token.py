"""The chain token: read from a file, never from a command line or the configuration."""

from __future__ import annotations

import re
from pathlib import Path

from ec_netboot.config import read_file
from ec_netboot.errors import ConfigError
from ec_netboot.serving.clients import ChainToken

_MAX = 4096
_TOKEN = re.compile(rb"[A-Za-z0-9._~-]{16,200}")


def read_chain_token(path: str) -> ChainToken:
    """Return the token in the file *path*; without a path, none is asked for. Raises `ConfigError`.

    It stands in addresses that iPXE asks for, so that only letters, digits and ``._~-`` are accepted.
    """
    if not path:
        return ChainToken(None)
    text = read_file(Path(path), _MAX).strip()
    if not _TOKEN.fullmatch(text):
        raise ConfigError(
            "holds no chain token: 16 to 200 letters, digits and ._~-",
            place=path,
            hint="make one: openssl rand -hex 24",
        )
    return ChainToken(text.decode("ascii"))
