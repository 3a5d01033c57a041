"""What differs from node to node: `node.toml`, which an operator writes, and `node.json`, which says what was applied.

Systems of one variant are the same on every node, byte for byte. Names, keys, broadcasts and the dashboard are
data that a node reads at boot, and whose digest stands in its reports.
"""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from ec_closure import broadcast as broadcasts
from ec_closure import ssh_key, strict_json
from ec_closure.broadcast import Broadcast, BroadcastName
from ec_closure.decoding import excerpt, explain
from ec_closure.errors import BadInputError, LimitError
from ec_closure.record import Record, Sha256
from ec_closure.ssh_key import SshKey, SshKeyError

MAX_BYTES = 1 << 18
MAX_LINE = 1 << 14
"""Characters of one line of node.toml: dotted keys of many parts take Python's reader of TOML quadratic time."""
_ADDRESS = "https://dashboard.example.org"
_HINT = "docs/node-data.md lists every key; `ec-provision check FILE` checks a file"
_WORDS = {
    "name": "a name has up to 63 small letters, digits and dashes, no dash at either end: runner-7",
    "ssh_keys": "one key is one line: ssh-ed25519 AAAA… operator",
    "url": "an address of up to 1024 characters without spaces: https://dashboard.example.org",
    "token": "a token has up to 4096 printable ASCII characters, no space among them",
    "input": "an address of one line: hdhomerun://10A1B2C3/4.1",
}

HostLabel = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$(?!\n)")]
Address = Annotated[str, msgspec.Meta(max_length=1024, pattern=r"^https?://[!-~]+$(?!\n)")]
KeyLine = Annotated[
    str, msgspec.Meta(min_length=1, max_length=ssh_key.MAX_LENGTH, pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)")
]
Token = Annotated[str, msgspec.Meta(min_length=1, max_length=4096, pattern=r"^[!-~]+$(?!\n)")]
"""It becomes a header: a line break or a space in it could write further headers."""
Fingerprint = Annotated[str, msgspec.Meta(pattern=r"^SHA256:[A-Za-z0-9+/]{43}$(?!\n)")]

Source = Literal["credential", "url", "partition", "file", "none"]
SOURCES: tuple[Source, ...] = ("credential", "url", "partition", "file")
"""Where node.toml is looked for, in this order."""


class NodeConfigError(BadInputError):
    """node.toml is not valid."""

    code = "node-config"


class NodeRecord(Record, frozen=True, kw_only=True, rename=None):
    """A table of node.toml; TOML keys are written with underscores."""


class DashboardTable(NodeRecord, frozen=True, kw_only=True):
    """Where reports go. *token* is a secret, with which a node without a known key enrols once; never shown."""

    url: Address
    token: Token | None = None

    def __repr__(self) -> str:
        """Return what may stand in a log."""
        return f"DashboardTable(url={self.url!r}, token={'…' if self.token else None})"


class NodeConfig(NodeRecord, frozen=True, kw_only=True):
    """One node's data. Without *name* the host name stays as it is.

    *schema* must be written: a file that is empty, or cut off at its beginning, is none of a node without data.
    """

    schema: Literal["ec-runner.node.v1"]
    name: HostLabel | None = None
    ssh_keys: Annotated[tuple[KeyLine, ...], msgspec.Meta(max_length=100)] = ()
    dashboard: DashboardTable | None = None
    broadcast: Annotated[tuple[Broadcast, ...], msgspec.Meta(max_length=64)] = ()

    def parsed_keys(self) -> tuple[SshKey, ...]:
        """Return *ssh_keys* parsed. Raises `SshKeyError` for what `decode` would not have accepted."""
        return tuple(map(ssh_key.parse, self.ssh_keys))


class NodeApplied(Record, frozen=True, kw_only=True):
    """What a node runs with, as `ec-provision apply` left it. It holds no secret, and anybody may read it.

    *source* is where node.toml was found, *digest* the SHA-256 of its bytes, None without one. *ignored* are the
    places that had one, too. *ssh_keys* are fingerprints, *broadcasts* names.
    """

    schema: Literal["ec-runner.node-applied.v1"] = "ec-runner.node-applied.v1"
    name: HostLabel | None = None
    source: Source
    digest: Sha256 | None
    ignored: tuple[Source, ...] = ()
    dashboard: Address | None = None
    ssh_keys: tuple[Fingerprint, ...] = ()
    broadcasts: tuple[BroadcastName, ...] = ()


def applied(
    config: NodeConfig | None, *, source: Source, digest: str | None, ignored: tuple[Source, ...] = ()
) -> NodeApplied:
    """Return what is told of *config*, None where no node.toml was found."""
    if config is None:
        return NodeApplied(source="none", digest=None)
    return NodeApplied(
        name=config.name,
        source=source,
        digest=digest,
        ignored=ignored,
        dashboard=config.dashboard.url if config.dashboard else None,
        ssh_keys=tuple(key.fingerprint for key in config.parsed_keys()),
        broadcasts=tuple(one.name for one in config.broadcast),
    )


def encode_applied(told: NodeApplied) -> bytes:
    """Return node.json."""
    return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"


def decode_applied(data: bytes, *, what: str = "node.json") -> NodeApplied:
    """Decode node.json. Raises `JsonError` with its place, `LimitError` above `MAX_BYTES`."""
    return strict_json.decode(data, NodeApplied, what=what, max_bytes=MAX_BYTES, max_depth=4)


def decode(data: bytes, *, what: str = "node.toml") -> NodeConfig:
    """Decode node.toml. Unknown keys are errors, and so are keys that stand twice.

    Raises `NodeConfigError`, `SshKeyError` or `BroadcastError` with its place, `LimitError` above `MAX_BYTES` or
    `MAX_LINE`. No message quotes a token or a key. Not checked: whether anything that is named exists.
    """
    if len(data) > MAX_BYTES:
        raise LimitError(f"{len(data)} bytes where at most {MAX_BYTES} are accepted", place=what)
    if longer := next((at for at, line in enumerate(data.split(b"\n"), 1) if len(line) > MAX_LINE), None):
        raise LimitError(f"longer than {MAX_LINE} bytes", place=f"{what}: line {longer}", hint="one key is one line")
    try:
        text = data.decode()
        if text.startswith("\ufeff"):
            raise NodeConfigError("begins with a byte order mark", place=what, hint="save it as UTF-8 without one")
        config = msgspec.toml.decode(text, type=NodeConfig)
    except UnicodeDecodeError as error:
        # Its text would quote the bytes.
        raise NodeConfigError(f"is no UTF-8 at byte {error.start}", place=what, hint="save it as UTF-8") from None
    except RecursionError:
        raise NodeConfigError("nested too deep", place=what) from None
    except (msgspec.DecodeError, ValueError) as error:
        message, place = explain(error, what)
        key = place.removeprefix(f"{what}: ").rpartition(".")[2].partition("[")[0]
        if "matching regex" in message and key in _WORDS:
            raise NodeConfigError("is not written as this key must be", place=place, hint=_WORDS[key]) from None
        raise NodeConfigError(message, place=place, hint=_HINT) from None
    _check(config, what)
    return config


def _check(config: NodeConfig, what: str) -> None:
    """Check what the types cannot say. Raises `BadInputError` with its place."""
    blobs: dict[bytes, int] = {}
    for at, line in enumerate(config.ssh_keys):
        place = f"{what}: ssh_keys[{at}]"
        try:
            key = ssh_key.parse(line)
        except SshKeyError as error:
            raise error.at(place) from None
        if (first := blobs.setdefault(key.blob, at)) != at:
            # With other options, the first line that fits would decide.
            raise NodeConfigError(f"is the same key as ssh_keys[{first}]", place=place, hint="remove one of them")
    if config.dashboard is not None:
        _check_address(config.dashboard.url, f"{what}: dashboard.url")
    for at, one in enumerate(config.broadcast):
        broadcasts.check(one, place=f"{what}: broadcast[{at}]")
    broadcasts.check_together(config.broadcast, place=f"{what}: broadcast")


def _check_address(address: str, place: str) -> None:
    """Accept the base address of a dashboard. Raises `NodeConfigError`."""
    try:
        parts = urlsplit(address)
        host, user, _ = parts.hostname, parts.username, parts.port
    except ValueError as error:
        raise NodeConfigError(f"is no address: {excerpt(str(error))}", place=place, hint=_ADDRESS) from None
    if user is not None or "@" in parts.netloc:
        raise NodeConfigError("holds a user or a password, which would show", place=place, hint="use dashboard.token")
    if not host:
        raise NodeConfigError("names no host", place=place, hint=_ADDRESS)
    if "?" in address or "#" in address:
        raise NodeConfigError("has a query or a fragment; names are appended to it", place=place, hint=_ADDRESS)
    if parts.scheme == "http" and not is_loopback(host):
        raise NodeConfigError("would send the token in the clear", place=place, hint="use https://")


def is_loopback(host: str) -> bool:
    """Tell whether *host* is this very machine, by its name or its address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
