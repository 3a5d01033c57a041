"""The one place where exceptions of the TUF and signing libraries become ours. Causes are kept."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from securesystemslib.exceptions import Error as SslibError
from tuf.api import exceptions as tuf_errors
from tuf.api.metadata import Metadata
from tuf.api.serialization import DeserializationError

from ec_fetch.errors import (
    ExpiredMetadataError,
    FetchError,
    MetadataError,
    MixedMetadataError,
    RefusedError,
    RolledBackError,
    SlowError,
    StateError,
    TargetMismatchError,
    UnsignedMetadataError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_closure.errors import EcError
    from ec_fetch.strict import StrictFetcher

_REFUSED_STATUS = frozenset({401, 403, 404})
_REPLACED = "the asset was replaced after it was signed"
_OLDER = "the server shows an older state than was seen before"
_MIXED = "the server mixes files of two states; ask again later"

# In order: the first that fits. The hint says what to do next.
_METADATA: tuple[tuple[type[Exception], type[EcError], str | None], ...] = (
    (tuf_errors.DownloadLengthMismatchError, MetadataError, "metadata never grow that large: look at the server"),
    (tuf_errors.SlowRetrievalError, SlowError, "check the line, or raise the deadline"),
    (tuf_errors.DownloadError, FetchError, "check the network, the proxy and the address of the release server"),
    (
        tuf_errors.ExpiredMetadataError,
        ExpiredMetadataError,
        "check this clock; the publisher refreshes with `ec-release trust refresh`",
    ),
    (
        tuf_errors.UnsignedMetadataError,
        UnsignedMetadataError,
        "somebody else signed, or the pinned root is too old to follow",
    ),
    (tuf_errors.LengthOrHashMismatchError, MixedMetadataError, _MIXED),
    (DeserializationError, MetadataError, "the file is no TUF metadata: look at the server"),
    (Exception, MetadataError, None),
)
_TARGET: tuple[tuple[type[Exception], type[EcError], str | None], ...] = (
    (tuf_errors.DownloadLengthMismatchError, TargetMismatchError, _REPLACED),
    (tuf_errors.LengthOrHashMismatchError, TargetMismatchError, _REPLACED),
    (tuf_errors.DownloadHTTPError, FetchError, "the release is incomplete, or the server is at fault"),
    *_METADATA,
)


@contextmanager
def translated(fetcher: StrictFetcher, *, target: str | None = None) -> Iterator[None]:
    """Turn what the libraries raise inside into `ec_fetch.errors`.

    *target* names what is downloaded, unless it is metadata.
    """
    try:
        yield
    except (tuf_errors.RepositoryError, tuf_errors.DownloadError, SslibError) as error:
        text = _chain(error)
        if target:
            raise _first(_TARGET, error, text, target) from error
        place = fetcher.last_name or "pinned root"
        if isinstance(error, tuf_errors.DownloadHTTPError):
            raise _http(error, fetcher, place, text) from error
        if isinstance(error, tuf_errors.BadVersionNumberError):
            raise _version(fetcher, place, text) from error
        raise _first(_METADATA, error, text, place) from error
    except OSError as error:
        file = str(error.filename) if error.filename else None
        raise StateError(error.strerror or str(error), place=file, hint="is there room on the disk?") from error


def _first(
    table: tuple[tuple[type[Exception], type[EcError], str | None], ...], error: Exception, text: str, place: str
) -> EcError:
    ours, hint = next((ours, hint) for theirs, ours, hint in table if isinstance(error, theirs))
    return ours(text, place=place, hint=hint)


def _http(error: tuf_errors.DownloadHTTPError, fetcher: StrictFetcher, place: str, text: str) -> EcError:
    # The search for a newer root ends with 403 or 404 and never gets here: what does is the first answer that counts.
    if fetcher.first and error.status_code in _REFUSED_STATUS:
        return RefusedError(
            text,
            place=place,
            hint="check the address of the release server and the token file, and that something was published",
        )
    return FetchError(text, place=place, hint="the server is at fault, or the publisher did not finish")


def _version(fetcher: StrictFetcher, place: str, text: str) -> MetadataError:
    if place == "timestamp.json":
        return RolledBackError(text, place=place, hint=_OLDER)
    # Two reasons share one exception for snapshots: another version than the timestamp announces (the name of the file
    # says which), or the announced version, but listing older targets than before.
    if place.endswith("snapshot.json") and place.partition(".")[0] == str(_version_of(fetcher.last_data)):
        return RolledBackError(text, place=place, hint=_OLDER)
    if place.endswith("root.json"):
        return MetadataError(text, place=place, hint="roots follow one another without a gap")
    return MixedMetadataError(text, place=place, hint=_MIXED)


def _version_of(data: bytes) -> int:
    found: Metadata[Any] = Metadata.from_bytes(data)
    version: int = found.signed.version
    return version


def _chain(error: BaseException) -> str:
    """Return one line: the message and those of its causes, as far as they say more."""
    texts: list[str] = []
    current: BaseException | None = error
    while current is not None and len(texts) < 3:  # noqa: PLR2004 - deeper causes are for the traceback
        text = " ".join(str(current).split())
        if text and not any(text in earlier for earlier in texts):
            texts.append(text)
        current = current.__cause__
    return ": ".join(texts) or type(error).__name__
