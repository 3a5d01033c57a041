"""What metadata must hold beyond what the TUF library checks, looked at before its parser sees them.

- One reading: size and depth capped, duplicate JSON keys refused (pitfall P55).
- A threshold counts keys: a root that lists one public key under two identifiers is refused, because
  the library counts identifiers, and those are text that anybody can choose (pitfall P37).
- Only Ed25519 keys: they have one spelling, so that "the same key" can be told by its bytes.

Nothing here says that metadata are *trusted*; signatures, versions and expiry are the library's part.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tuf.api.metadata import Metadata
from tuf.api.serialization import DeserializationError
from tuf.ngclient.fetcher import FetcherInterface

from ec_closure import strict_json
from ec_closure.decoding import excerpt
from ec_closure.errors import BadInputError
from ec_fetch.errors import FetchError, MetadataError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_closure.errors import TransportError

MAX_DEPTH = 16
_MAX_KEY = 80
LIMITS = {"root": 256 << 10, "timestamp": 16 << 10, "snapshot": 256 << 10, "targets": 16 << 20}
"""Bytes that metadata of each role may have, whatever length somebody signed for them."""

# The library logs each cached file that it does not use; our own errors say what matters.
logging.getLogger("tuf").addHandler(logging.NullHandler())


def check(data: bytes, *, what: str, max_bytes: int) -> None:
    """Raise `MetadataError` unless *data* is one JSON object with one reading and, for a root, distinct keys."""
    try:
        document: dict[str, Any] = strict_json.decode(
            data, dict[str, Any], what=what, max_bytes=max_bytes, max_depth=MAX_DEPTH
        )
    except BadInputError as error:
        raise MetadataError(error.message, place=error.place) from error
    signed = document.get("signed")
    if isinstance(signed, dict) and signed.get("_type") == "root":
        _check_keys(signed, what)


def check_root(data: bytes) -> None:
    """Raise `MetadataError` unless *data*, the pinned root, is a root. Its signatures are the library's part."""
    check(data, what="pinned root", max_bytes=LIMITS["root"])
    try:
        found = Metadata[Any].from_bytes(data).signed.type
    except DeserializationError as error:
        raise MetadataError("is no TUF metadata", place="pinned root") from error
    if found != "root":
        raise MetadataError(f"is {found} metadata", place="pinned root", hint="pin what `ec-release trust init` wrote")


def _check_keys(root: dict[str, Any], what: str) -> None:
    keys = root.get("keys")
    if not isinstance(keys, dict):
        raise MetadataError("a root without keys", place=what)
    owners: dict[bytes, str] = {}
    for identifier, key in keys.items():
        try:
            if (key["keytype"], key["scheme"]) != ("ed25519", "ed25519"):
                raise MetadataError(
                    "only Ed25519 keys are accepted", place=f"{what}: key {excerpt(identifier, _MAX_KEY)}"
                )
            public = bytes.fromhex(key["keyval"]["public"])
        except (KeyError, TypeError, ValueError) as error:
            raise MetadataError("malformed key", place=f"{what}: key {excerpt(identifier, _MAX_KEY)}") from error
        if public in owners:
            raise MetadataError(
                f"the keys {excerpt(owners[public], _MAX_KEY)} and {excerpt(identifier, _MAX_KEY)} are one key under"
                " two identifiers",
                place=what,
                hint="a threshold must count different keys; the root was made wrongly, or on purpose",
            )
        owners[public] = identifier


class StrictFetcher(FetcherInterface):
    """Wraps a fetcher and checks metadata on their way in; remembers what came last, for error messages."""

    def __init__(self, inner: FetcherInterface) -> None:
        self._inner = inner
        self.last_name = ""
        self.last_data = b""
        self.succeeded: list[str] = []

    def _fetch(self, url: str) -> Iterator[bytes]:
        return self._inner.fetch(url)

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """Yield a target; its length and hash are checked by the caller."""
        self._begin(url)
        with self._inner.download_file(url, max_length) as file:
            yield file

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Return metadata that passed `check`. The library asks for metadata, and for nothing else, this way."""
        self._begin(url)
        # Where the length is signed, the library accepts what is signed, however large.
        role = self.last_name.removesuffix(".json").rpartition(".")[2]
        limit = min(max_length, LIMITS.get(role, max_length))
        data = self._inner.download_bytes(url, limit)
        if data.lstrip()[:1] == b"<":
            raise self._page()
        check(data, what=self.last_name, max_bytes=limit)
        self.last_data = data
        self.succeeded.append(self.last_name)
        return data

    @property
    def first(self) -> bool:
        """Whether nothing came yet but roots, whose search ends with a 404 anyway."""
        return all(name.endswith(".root.json") for name in self.succeeded)

    def _page(self) -> TransportError:
        # Not a forgery that somebody hopes to get away with: the way to the server ends at a page made for people.
        kind = RefusedError if self.first else FetchError
        return kind(
            "a web page where metadata are expected",
            place=self.last_name,
            hint="a login page or a captive portal: check the token file, the address and the network",
        )

    def _begin(self, url: str) -> None:
        self.last_name = PurePosixPath(urlsplit(url).path).name
        self.last_data = b""
