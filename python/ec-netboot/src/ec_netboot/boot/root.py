"""The directory that TFTP serves: copies of iPXE's files under names of ours, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ec_closure import files
from ec_netboot.boot.dnsmasq import TFTP, configure, offered
from ec_netboot.config import read_file
from ec_netboot.state import told

if TYPE_CHECKING:
    from ec_netboot.config import Config

_MAX = 64 << 20


def prepare(config: Config, *, token: str | None) -> Path:
    """Make the directory anew, and dnsmasq's configuration beside it; return that file.

    Copies: what somebody replaces meanwhile is served from the next start on. Raises `ConfigError` for a file that
    cannot be read, `StateError` for a runtime directory that cannot be written.
    """
    found = {name: read_file(Path(source), _MAX) for name, source in offered(config).items()}
    runtime = config.runtime
    root = runtime / TFTP
    with told(runtime):
        runtime.mkdir(parents=True, exist_ok=True)
        runtime.chmod(0o755)  # whatever the umask is: dnsmasq is nobody when it reads what is below
        if root.is_dir() and not root.is_symlink():
            shutil.rmtree(root)
        root.mkdir()
        root.chmod(0o755)
        for name, data in found.items():
            with files.replacing(root / name, mode=0o644) as file:
                file.write(data)
        # The token stands in it.
        with files.replacing(runtime / "dnsmasq.conf", mode=0o600) as file:
            file.write(configure(config, token=token).encode())
    return runtime / "dnsmasq.conf"
