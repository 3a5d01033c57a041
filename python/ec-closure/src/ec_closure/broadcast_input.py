"""Where a broadcast is read from: the addresses that a broadcast's `input` may have.

hdhomerun://DEVICE/CHANNEL   a tuner by its device id (eight hexadecimal digits), found on the local network
hdhomerun://HOST/CHANNEL     a tuner by its name or address; CHANNEL is 4.1, or like ch473000000-3
http://…  https://…          a transport stream, or anything else that ffmpeg reads
udp://HOST:PORT              a transport stream in datagrams; a multicast group is joined
file:///PATH                 a file
test:  test:1280x720         a moving picture and a tone, made here
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from ec_closure.errors import BadInputError

_FORMS = "write hdhomerun://10A1B2C3/4.1, http://…, udp://239.1.1.1:5000, file:///… or test:"
_DEVICE = re.compile(r"[0-9A-Fa-f]{8}")
_CHANNEL = re.compile(r"[1-9][0-9]{0,3}(\.[0-9]{1,4})?|ch[0-9]{4,10}(-[0-9]{1,5})?")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_SIZE = re.compile(r"([1-9][0-9]{1,3})x([1-9][0-9]{1,3})")
_URL = re.compile(r"[!-~]+")
_MAX_WIDTH = 3840
_MAX_HEIGHT = 2160


class InputError(BadInputError):
    """An input is none that is known."""

    code = "broadcast.input"


@dataclass(frozen=True)
class Tuner:
    """An HDHomeRun. One of *device* (upper case) and *host* is given."""

    channel: str
    device: str | None = None
    host: str | None = None


@dataclass(frozen=True)
class Stream:
    """Something that is fetched by HTTP."""

    url: str


@dataclass(frozen=True)
class Datagrams:
    """Something that arrives by UDP. *host* is a multicast group, or an address of this machine."""

    host: str
    port: int


@dataclass(frozen=True)
class File:
    """A file, by its absolute path."""

    path: str


@dataclass(frozen=True)
class Pattern:
    """A test pattern of this size in pixels."""

    width: int = 1280
    height: int = 720


Input = Tuner | Stream | Datagrams | File | Pattern


def parse(text: str) -> Input:
    """Return what the address *text* names. Raises `InputError`.

    Not checked: whether it exists. A host whose name is eight hexadecimal digits is taken for a device.
    """
    scheme, colon, rest = text.partition(":")
    if not colon or not (scheme == "test" or rest.startswith("//")):
        raise InputError("the input is no address", hint=_FORMS)
    match scheme:
        case "hdhomerun":
            return _tuner(rest.removeprefix("//"))
        case "http" | "https":
            return _stream(text)
        case "udp":
            return _datagrams(text)
        case "file":
            return _file(rest.removeprefix("//"))
        case "test":
            return _pattern(rest)
    raise InputError("nothing is known to read such an address", hint=_FORMS)


def _tuner(rest: str) -> Tuner:
    name, _, channel = rest.partition("/")
    if not _CHANNEL.fullmatch(channel):
        raise InputError("names no channel of a tuner", hint="write hdhomerun://10A1B2C3/4.1")
    if _DEVICE.fullmatch(name):
        return Tuner(channel, device=name.upper())
    if not _is_host(name):
        raise InputError("names neither a device nor a host", hint="write hdhomerun://10A1B2C3/4.1")
    return Tuner(channel, host=name)


def _stream(text: str) -> Stream:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not host or not _URL.fullmatch(text):
        raise InputError("is no address of a web server", hint=_FORMS)
    if "@" in parts.netloc:
        # It would stand in the list of processes and in logs.
        raise InputError(
            "holds a user or a password, which would show", hint="let the server allow this node's address"
        )
    return Stream(text)


def _datagrams(text: str) -> Datagrams:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    host = (host or "").removeprefix("@")
    if not _is_host(host) or not port or parts.path or parts.query or parts.fragment or parts.password is not None:
        raise InputError("names no host and port alone", hint="write udp://239.1.1.1:5000")
    return Datagrams(host, port)


def _file(rest: str) -> File:
    path = unquote(rest)
    if not path.startswith("/") or any(ord(one) < ord(" ") or one == "\x7f" for one in path):
        raise InputError("is no absolute path", hint="write file:///srv/films/one.ts, with three slashes")
    return File(path)


def _pattern(rest: str) -> Pattern:
    if not rest:
        return Pattern()
    size = _SIZE.fullmatch(rest)
    width, height = (int(size[1]), int(size[2])) if size else (0, 0)
    # 4:2:0 has half as many colours in both directions.
    if not (0 < width <= _MAX_WIDTH and 0 < height <= _MAX_HEIGHT) or width % 2 or height % 2:
        raise InputError("is no size of a test pattern", hint="write test:1280x720; both numbers are even")
    return Pattern(width, height)


def _is_host(name: str) -> bool:
    if _HOST.fullmatch(name):
        return True
    try:
        return bool(ipaddress.IPv6Address(name.removeprefix("[").removesuffix("]")))
    except ValueError:
        return False
