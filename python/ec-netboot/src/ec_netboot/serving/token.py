"""The chain token: read from a file, never from a command line or the configuration."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ec_netboot.config import read_file
from ec_netboot.errors import ConfigError
from ec_netboot.serving.clients import ChainToken

_MAX = 4096
_TOKEN = re.compile(rb"[A-Za-z0-9._~-]{16,200}")


CREDENTIAL = "chain-token"


def read_chain_token(path: str) -> ChainToken:
    """Return the token in systemd's credential, or else in the file *path*; with neither, none is asked for.

    It stands in addresses that iPXE asks for, so that only letters, digits and ``._~-`` are accepted. Raises
    `ConfigError`.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (Path(credentials) / CREDENTIAL).exists():
        path = str(Path(credentials) / CREDENTIAL)
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
