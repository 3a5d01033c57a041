"""`ec-node.toml`: what is the same for every broadcast of a node. What differs is in each broadcast's own file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from ec_closure import broadcast as broadcasts
from ec_closure import config_file
from ec_closure.record import Line
from ec_node.errors import ConfigError

if TYPE_CHECKING:
    from ec_closure.broadcast import Broadcast

DEFAULT_PATH = Path("/etc/ec-node/ec-node.toml")
MAX_BYTES = 1 << 20
_MAX_TOKEN = 4096
_HINT = "docs/ec-node.md lists every key"

Absolute = Annotated[str, msgspec.Meta(pattern=r"^/[^\x00-\x1f\x7f]*$(?!\n)")]
AbsoluteOrEmpty = Annotated[str, msgspec.Meta(pattern=r"^(/[^\x00-\x1f\x7f]*)?$(?!\n)")]
Host = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z][0-9A-Za-z.:-]{0,252}$|^::$(?!\n)")]
CrossOrigin = Annotated[str, msgspec.Meta(pattern=r"^(\*|https?://[!-~]{1,250})?$(?!\n)")]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of ec-node.toml."""


class FfmpegTable(Table, frozen=True, kw_only=True):
    """The programs, found on the PATH or given by their paths."""

    ffmpeg: Line = "ffmpeg"
    ffprobe: Line = "ffprobe"


class OriginTable(Table, frozen=True, kw_only=True):
    """The built-in HTTP server. *address* is what a broadcast's port is opened at.

    *sockets* is a directory that gets a socket NAME.sock for each broadcast, for a web server in front. *memory* in MiB
    bounds the media of one broadcast that are kept, *connections* what is answered at one time. *allow_origin* is who
    may play it in a browser.
    """

    address: Host = "127.0.0.1"
    sockets: AbsoluteOrEmpty = ""
    memory: Annotated[int, msgspec.Meta(ge=8, le=65536)] = 256
    connections: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 4000
    allow_origin: CrossOrigin = "*"


class ArchiveTable(Table, frozen=True, kw_only=True):
    """Where segments are kept; nowhere when *directory* is empty. Below *keep_free* MiB of free space none is."""

    directory: AbsoluteOrEmpty = ""
    keep_free: Annotated[int, msgspec.Meta(ge=0, le=1 << 30)] = 1024


class PushTable(Table, frozen=True, kw_only=True):
    """How other origins are sent to. *attempts* at one file; *timeout* in seconds; *queue* segments may wait."""

    attempts: Annotated[int, msgspec.Meta(ge=1, le=20)] = 5
    timeout: Annotated[int, msgspec.Meta(ge=1, le=600)] = 10
    queue: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    ca_file: AbsoluteOrEmpty = ""


class SupervisionTable(Table, frozen=True, kw_only=True):
    """Seconds: until the first output, between asking ffmpeg to end and killing it, and of back-off."""

    start: Annotated[int, msgspec.Meta(ge=2, le=600)] = 60
    grace: Annotated[int, msgspec.Meta(ge=1, le=60)] = 5
    backoff: Annotated[int, msgspec.Meta(ge=1, le=600)] = 1
    backoff_cap: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 60


class Config(Table, frozen=True, kw_only=True):
    """The whole file."""

    state_dir: Absolute = "/var/lib/ec-node"
    ffmpeg: FfmpegTable = FfmpegTable()
    origin: OriginTable = OriginTable()
    archive: ArchiveTable = ArchiveTable()
    push: PushTable = PushTable()
    supervision: SupervisionTable = SupervisionTable()

    @property
    def state(self) -> Path:
        """*state_dir* as a path."""
        return Path(self.state_dir)


def decode(data: bytes, *, what: str = "ec-node.toml") -> Config:
    """Decode ec-node.toml. Unknown keys are errors. Raises `ConfigError` with its place."""
    config = config_file.decode(data, Config, what=what, error=ConfigError, hint=_HINT)
    if config.supervision.backoff > config.supervision.backoff_cap:
        raise ConfigError("is above backoff_cap", place=f"{what}: supervision.backoff", hint=_HINT)
    return config


def load(path: Path | None) -> Config:
    """Read ec-node.toml, or the defaults where the default file is absent. Raises `ConfigError`."""
    if path is None and not os.path.lexists(DEFAULT_PATH):
        return Config()
    source = path or DEFAULT_PATH
    return decode(read_file(source, MAX_BYTES), what=str(source))


def load_broadcast(path: Path) -> Broadcast:
    """Read the file of one broadcast. Raises `ConfigError`, `BroadcastError` or `LimitError`."""
    return broadcasts.decode(read_file(path, broadcasts.MAX_BYTES), what=str(path))


def push_token(broadcast: Broadcast) -> str | None:
    """Return the secret for the broadcast's other origin: its own, or a systemd credential's. Raises `ConfigError`."""
    push = broadcast.push
    if push is None or push.credential is None:
        return push.token if push is not None else None
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise ConfigError(
            f"there is no credential {push.credential}: systemd gave none",
            place="push.credential",
            hint="LoadCredential= in the unit, or services.every-channel.ec-node.credentials",
        )
    path = Path(directory) / push.credential
    token = read_file(path, _MAX_TOKEN).strip()
    # It becomes a header: a line break in it would let the file write further headers.
    if not token or not all(0x21 <= byte <= 0x7E for byte in token):  # noqa: PLR2004 - printable ASCII
        raise ConfigError("does not hold one line of printable characters", place=str(path), hint="the token alone")
    return token.decode("ascii")


def read_file(path: Path, limit: int) -> bytes:
    """Read a file that a user named. Raises `ConfigError` with what the system said, or above *limit* bytes."""
    return config_file.read(path, limit, ConfigError)
