"""The difference between signed and on-disk bytes, file by file; diffoscope's where it is asked for."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from ec_closure.errors import EcError
from ec_closure.explanation import Entry, FileDifference
from ec_closure.hashes import Hash
from ec_closure.nar.differ import compare
from ec_closure.nar.dump import dump
from ec_closure.nar.reader import read
from ec_fetch.cache import nar_from_cache
from ec_verify.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_closure.manifest import PathRecord
    from ec_verify.config import Config

_KINDS = {
    "only left": "removed",
    "only right": "added",
    "type": "another type",
    "executable": "execute bit",
    "target": "symlink target",
    "contents": "contents",
}
_MOST = 16
"""How many times the signed size is read of a tree on disk: what is larger is told by its size."""


def difference(config: Config, record: PathRecord) -> FileDifference:
    """Compare the path of *record* on disk with the bytes that CI signed, from the caches that the configuration names.

    Archives lie in temporary files meanwhile. What cannot be had is said in the result.
    """
    location = config.location
    try:
        with _signed(config, record) as (source, signed), tempfile.TemporaryFile() as disk:
            dump(location.physical(record.path), disk.write, limit=_MOST * record.nar_size + (64 << 20))
            disk.seek(0)
            found = compare(read(cast("BinaryIO", signed)), read(cast("BinaryIO", disk)))
    except _NoBytesError as error:
        return FileDifference(unavailable=one_line(str(error)))
    except EcError as error:
        return FileDifference(unavailable=one_line(f"the path cannot be compared: {error}"))
    return FileDifference(
        source=one_line(source),
        count=found.count,
        complete=found.complete,
        entries=tuple(
            Entry(
                path=one.path,
                kind=_KINDS[one.kind],
                signed=one.left,
                disk=one.right,
                offset=one.offset,
                lines=one.lines,
            )
            for one in found.differences
        ),
    )


class _NoBytesError(Exception):
    """Nobody has the signed bytes; the message says who was asked."""


@contextmanager
def _signed(config: Config, record: PathRecord) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the signed bytes and where they came from."""
    if not config.nix.substituters:
        raise _NoBytesError("no cache to get the signed bytes from: nix.substituters names none")
    complaints = []
    for address in config.nix.substituters:
        cache = nar_from_cache(
            address,
            record.path,
            Hash.parse(record.nar_hash),
            record.nar_size,
            store_dir=config.location.store_dir,
            ca_file=Path(config.trust.ca_file) if config.trust.ca_file else None,
            deadline=float(config.trust.deadline),
        )
        try:
            file = cache.__enter__()
        except (EcError, OSError) as error:
            complaints.append(str(error))
            continue
        try:
            yield address, file
        finally:
            cache.__exit__(None, None, None)
        return
    raise _NoBytesError(f"no cache has the signed bytes: {complaints[0]}")
