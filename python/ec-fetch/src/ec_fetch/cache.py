"""Bytes from a binary cache: of a path whose hash is known, so that no word of the cache needs to be believed."""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, cast

from tuf.api.exceptions import DownloadError, DownloadHTTPError

from ec_closure.compression import decompressed
from ec_closure.errors import BadInputError
from ec_closure.narinfo import MAX_SIZE, NarInfo
from ec_closure.store_path import StorePath
from ec_fetch.errors import FetchError, TargetMismatchError
from ec_fetch.fetcher import ReleaseFetcher
from ec_fetch.origin import check_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from ec_closure.hashes import Hash

_OVERHEAD = 1 << 20


@contextmanager
def nar_from_cache(  # the hash is the proof: a cache that lies delivers nothing
    address: str,
    path: str,
    nar_hash: Hash,
    nar_size: int,
    *,
    store_dir: str,
    ca_file: Path | None = None,
    deadline: float = 120.0,
) -> Iterator[IO[bytes]]:
    """Yield the NAR of *path* from the cache at *address* as a temporary file whose hash is *nar_hash*.

    Not checked, for it would prove nothing more: the cache's signatures. Raises `FetchError`, `BadInputError` for a
    narinfo or archive that is malformed, `TargetMismatchError` for other bytes.
    """
    base = address.partition("?")[0].rstrip("/")
    check_address(f"{base}/", what="nix.substituters")
    fetcher = ReleaseFetcher(ca_file=ca_file, deadline=deadline)
    place = f"{base}/{StorePath.parse(path, store_dir).hash_part}.narinfo"
    try:
        info = NarInfo.parse(fetcher.download_bytes(place, MAX_SIZE), store_dir)
        if info.store_path != path or info.nar_hash != nar_hash:
            raise TargetMismatchError("offers other bytes than CI signed", place=place)
        if "://" in info.url or info.url.startswith("/") or ".." in info.url.split("/"):
            raise BadInputError("names an archive outside the cache", place=place)
        where = f"{base}/{info.url}"
        most = min(info.file_size or nar_size, nar_size) + _OVERHEAD
        with fetcher.download_file(where, most) as packed, tempfile.TemporaryFile() as file:
            hasher, size = hashlib.sha256(), 0
            for piece in decompressed(cast("BinaryIO", packed), info.compression, limit=nar_size, what=where):
                hasher.update(piece)
                size += file.write(piece)
            if (hasher.digest(), size) != (nar_hash.digest, nar_size):
                raise TargetMismatchError("is not the archive that CI signed", place=where)
            file.seek(0)
            yield file
    except DownloadHTTPError as error:
        raise FetchError(f"answers {error.status_code}", place=place) from error
    except DownloadError as error:
        raise FetchError(str(error), place=place) from error
    finally:
        fetcher.close()
