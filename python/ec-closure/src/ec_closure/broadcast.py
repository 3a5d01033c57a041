"""One broadcast of a node: what is published, and from where. Written in node.toml, and alone in a file of its own."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from ec_closure import toml_text
from ec_closure.broadcast_input import File, Pattern, parse
from ec_closure.decoding import explain
from ec_closure.errors import BadInputError, LimitError
from ec_closure.record import Line, Record

MAX_BYTES = 1 << 16
_HINT = "docs/ec-node.md lists every key"

# It becomes the name of a file, of a unit's instance and of a part of the address.
BroadcastName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$(?!\n)")]
FrameRate = Annotated[str, msgspec.Meta(pattern=r"^([1-9]|[1-5][0-9]|60|(24000|30000|60000)/1001)$(?!\n)")]
PushAddress = Annotated[str, msgspec.Meta(max_length=1024, pattern=r"^https?://[!-~]+/$(?!\n)")]
Token = Annotated[str, msgspec.Meta(min_length=1, max_length=4096, pattern=r"^[!-~]+$(?!\n)")]
"""It becomes a header: a line break or a space in it could write further headers."""
CredentialName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$(?!\n)")]
Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"]


class BroadcastError(BadInputError):
    """A broadcast is not described well."""

    code = "broadcast"


class BroadcastRecord(Record, frozen=True, kw_only=True, rename=None):
    """A table of a broadcast; TOML keys are written with underscores."""


class VideoTable(BroadcastRecord, frozen=True, kw_only=True):
    """How pictures are encoded (H.264). *bitrate* is in kbit/s; without *height* the input's size stays."""

    bitrate: Annotated[int, msgspec.Meta(ge=50, le=50_000)] = 3000
    height: Annotated[int, msgspec.Meta(ge=64, le=2160)] | None = None
    frame_rate: FrameRate = "30"
    preset: Preset = "veryfast"
    deinterlace: bool = True

    @property
    def rate(self) -> Fraction:
        """Frames a second."""
        return Fraction(self.frame_rate)


class AudioTable(BroadcastRecord, frozen=True, kw_only=True):
    """How sound is encoded (AAC-LC at 48 kHz). *bitrate* is in kbit/s."""

    bitrate: Annotated[int, msgspec.Meta(ge=32, le=512)] = 128
    channels: Literal[1, 2] = 2


class HlsTable(BroadcastRecord, frozen=True, kw_only=True):
    """What the playlist lists: *window* segments of *segment* seconds. Without *port* the origin has its socket only.

    As many segments again can be fetched after they left the playlist.
    """

    segment: Annotated[int, msgspec.Meta(ge=1, le=10)] = 2
    window: Annotated[int, msgspec.Meta(ge=4, le=1000)] = 10
    port: Annotated[int, msgspec.Meta(ge=1024, le=65535)] | None = None


class PushTable(BroadcastRecord, frozen=True, kw_only=True):
    """Another origin, which is sent everything by HTTP PUT. *url* ends with a slash; names are appended to it.

    *token* is a secret that goes into the Authorization header; *credential* names a systemd credential that holds it.
    """

    url: PushAddress
    token: Token | None = None
    credential: CredentialName | None = None

    def __repr__(self) -> str:
        """Return what may stand in a log."""
        return f"PushTable(url={self.url!r}, token={'…' if self.token else None}, credential={self.credential!r})"


class Broadcast(BroadcastRecord, frozen=True, kw_only=True):
    """One broadcast. *name* is unique on its node; *input* is what it is read from, see `ec_closure.broadcast_input`.

    With *passthrough* pictures and sound are published as they come, and *video* and *audio* say nothing. *program* is
    the number of one of several programs in a transport stream. *stall* are the seconds without progress after which
    the input is opened anew. *loop* and *real_time* are about files: begin again at the end; read it as it plays.
    """

    name: BroadcastName
    input: Line
    passthrough: bool = False
    program: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    stall: Annotated[int, msgspec.Meta(ge=2, le=600)] = 10
    loop: bool = False
    real_time: bool = True
    video: VideoTable = VideoTable()
    audio: AudioTable = AudioTable()
    hls: HlsTable = HlsTable()
    push: PushTable | None = None


def check(broadcast: Broadcast, *, place: str) -> None:
    """Check what the types cannot say. Raises `BroadcastError` with the key below *place*.

    Not checked: whether anything that is named exists or answers.
    """
    _check(broadcast, f"{place}.")


def _check(broadcast: Broadcast, prefix: str) -> None:
    try:
        source = parse(broadcast.input)
    except BadInputError as error:
        raise BroadcastError(error.message, place=f"{prefix}input", hint=error.hint) from None
    if broadcast.loop and not isinstance(source, File):
        raise BroadcastError("only a file can begin again", place=f"{prefix}loop", hint="remove it")
    if not broadcast.real_time and not isinstance(source, File | Pattern):
        raise BroadcastError("only a file can be read faster than it plays", place=f"{prefix}real_time", hint=_HINT)
    if broadcast.passthrough and isinstance(source, Pattern):
        raise BroadcastError("a test pattern has to be encoded", place=f"{prefix}passthrough", hint="remove it")
    if broadcast.video.height is not None and broadcast.video.height % 2:
        raise BroadcastError("is odd, which H.264 cannot be here", place=f"{prefix}video.height", hint="add one")
    if broadcast.push is not None:
        _check_push(broadcast.push, f"{prefix}push")


def check_together(broadcasts: tuple[Broadcast, ...], *, place: str) -> None:
    """Check that the broadcasts of one node do not get in each other's way. Raises `BroadcastError`."""
    names: dict[str, int] = {}
    ports: dict[int, int] = {}
    for at, one in enumerate(broadcasts):
        if (first := names.setdefault(one.name, at)) != at:
            raise BroadcastError(
                f"broadcast[{first}] is called {one.name}, too", place=f"{place}[{at}].name", hint="rename one"
            )
        if one.hls.port is not None and (first := ports.setdefault(one.hls.port, at)) != at:
            raise BroadcastError(
                f"broadcast[{first}] listens at {one.hls.port}, too",
                place=f"{place}[{at}].hls.port",
                hint="give each its own, or none and put a web server in front of the sockets",
            )


def _check_push(push: PushTable, place: str) -> None:
    try:
        parts = urlsplit(push.url)
        host, user, _ = parts.hostname, parts.username, parts.port
    except ValueError:
        host, user, parts = None, None, None
    if not host or parts is None:
        raise BroadcastError("is no address", place=f"{place}.url", hint="https://origin.example.org/channel-4/")
    if user is not None or "@" in parts.netloc:
        raise BroadcastError("holds a user or a password, which would show", place=f"{place}.url", hint="use token")
    if "?" in push.url or "#" in push.url:
        raise BroadcastError("has a query or a fragment; names are appended to it", place=f"{place}.url", hint=_HINT)
    if push.token is not None and push.credential is not None:
        raise BroadcastError("token and credential are two places for one thing", place=place, hint="keep one")


def encode(broadcast: Broadcast) -> bytes:
    """Return *broadcast* as the file that its unit is given."""
    return toml_text.render(msgspec.to_builtins(broadcast)).encode()


def decode(data: bytes, *, what: str = "broadcast") -> Broadcast:
    """Decode what `encode` returns. Raises `BroadcastError` with its place, `LimitError` above `MAX_BYTES`."""
    if len(data) > MAX_BYTES:
        raise LimitError(f"{len(data)} bytes where at most {MAX_BYTES} are accepted", place=what)
    try:
        broadcast = msgspec.toml.decode(data, type=Broadcast)
    except (msgspec.DecodeError, ValueError) as error:
        message, place = explain(error, what)
        raise BroadcastError(message, place=place, hint=_HINT) from None
    except RecursionError:
        raise BroadcastError("nested too deep", place=what) from None
    _check(broadcast, f"{what}: ")
    return broadcast
