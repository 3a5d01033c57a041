"""Where node.toml is looked for, and in which order. The first place that has one counts; nothing is merged.

A place that has a bad one, or one that cannot be read, ends the search: whoever can damage one place must not thereby
choose another.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from ec_closure.node_config import MAX_BYTES, SOURCES
from ec_provision import below, command_line
from ec_provision.errors import CommandLineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ec_closure.node_config import Source
    from ec_provision.command_line import Address

log = structlog.get_logger()

NAME = "node.toml"
PARTITION = f"run/ec-node-partition/{NAME}"
FILE = f"var/lib/every-channel/{NAME}"
_COMMAND_LINE = "proc/cmdline"
_MAX_COMMAND_LINE = 1 << 16
_OTHERS_READ = stat.S_IRGRP | stat.S_IROTH


@dataclass(frozen=True)
class Found:
    """A node.toml: where it was, its bytes, the places that had one too, and whether others than root can read it."""

    source: Source
    place: str
    data: bytes
    ignored: tuple[Source, ...] = ()
    exposed: bool = False

    @property
    def digest(self) -> str:
        """The SHA-256 of its bytes."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Places:
    """Where to look: below *root*, and in the directory *credentials* where the service manager gives one."""

    root: Path = Path("/")
    credentials: Path | None = None

    @classmethod
    def of_environment(cls, root: Path) -> Places:
        """Return the places of this process: systemd names the directory of credentials."""
        directory = os.environ.get("CREDENTIALS_DIRECTORY", "")
        return cls(root, Path(directory) if directory.startswith("/") else None)

    def address(self) -> Address | None:
        """Return the address on the kernel's command line. Raises `CommandLineError`."""
        return command_line.address_of(self._command_line())

    def _command_line(self) -> bytes:
        found = below.read(self.root, _COMMAND_LINE, limit=_MAX_COMMAND_LINE)
        return found[0] if found else b""

    def has(self, source: Source) -> bool:
        """Tell whether a place has a node.toml, good or bad."""
        match source:
            case "credential":
                return self.credentials is not None and below.exists(self.credentials, NAME)
            case "url":
                return bool(command_line.parse(self._command_line()).get(command_line.ADDRESS))
            case "partition":
                return below.exists(self.root, PARTITION)
        return below.exists(self.root, FILE)


def find(places: Places, fetch: Callable[[Address], bytes]) -> Found | None:
    """Return the node.toml that counts, None when there is none. *fetch* gets what lies at an address.

    Raises `BadInputError`, and `LocalError`, `TrustError` or `TransportError` when it is there and cannot be had.
    """
    present = [source for source in SOURCES if places.has(source)]
    if not present:
        return None
    source, *others = present
    if others:
        log.warning("several places have a node.toml; the first counts", used=source, ignored=", ".join(others))
    ignored = tuple(others)
    if source == "url":
        address = places.address()
        if address is None:
            raise CommandLineError("changed while it was read")
        return Found(source, address.shown, fetch(address), ignored)
    top, path = {
        "credential": (places.credentials or places.root, NAME),
        "partition": (places.root, PARTITION),
        "file": (places.root, FILE),
    }[source]
    # Who holds a stick decides what is on it; who owns its files there says nothing.
    read = below.read(top, path, limit=MAX_BYTES, owned=source == "file")
    if read is None:
        raise FileNotFoundError(2, "vanished while it was read", str(top / path))
    return Found(source, str(top / path), read[0], ignored, exposed=source == "file" and bool(read[1] & _OTHERS_READ))
