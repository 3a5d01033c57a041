"""Origins: who is on the other end of an address. Tokens belong to an origin and do not leave it."""

from __future__ import annotations

from urllib.parse import urlsplit

from ec_closure.errors import UsageError

_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of *url*, with the scheme's usual port filled in.

    Raises ValueError for a port that is no number.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(scheme)


def check_address(url: str, *, what: str) -> None:
    """Raise `UsageError` unless *url* is a base address that releases can lie under."""
    try:
        scheme, host, _ = origin_of(url)
    except ValueError as error:
        raise UsageError(f"{url!r} is no address: {error}", place=what) from error
    fitting = host in {"", "localhost"} if scheme == "file" else bool(host)
    if scheme not in {"file", *_PORTS} or not fitting:
        raise UsageError(f"{url!r} is no address", place=what, hint="https://host/path/, http://… or file:///path/")
    if urlsplit(url).query or urlsplit(url).fragment:
        raise UsageError(f"{url!r}: names are appended to it, so it ends with a path", place=what)
