"""The difference between signed, on-disk and rebuilt bytes, file by file."""

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
from ec_verify.explain.diffoscope import report
from ec_verify.explain.rebuilding import rebuilt
from ec_verify.location import base_name
from ec_verify.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_closure.manifest import PathRecord
    from ec_verify.config import Config, Settings
    from ec_verify.model import TrustOutcome
    from ec_verify.observe.running import Running
    from ec_verify.progress import Progress

_KINDS = {
    "type": "another type",
    "executable": "execute bit",
    "target": "symlink target",
    "contents": "contents",
}
_MOST = 16
"""How many times the signed size is read of a tree on disk: what is larger is told by its size."""


def difference(config: Config, record: PathRecord, *, diffoscope: bool = False) -> FileDifference:
    """Compare the bytes that CI signed, from the caches that the configuration names, with the path on disk.

    Archives lie in temporary files meanwhile. What cannot be had is said in the result.
    """
    try:
        with _signed(config, record) as (source, signed):
            return _compared(signed, record, config, names=("signed", "disk"), source=source, diffoscope=diffoscope)
    except _NoBytesError as error:
        return FileDifference(left="signed", right="disk", unavailable=one_line(str(error)))
    except EcError as error:
        return FileDifference(left="signed", right="disk", unavailable=one_line(f"cannot be compared: {error}"))


def rebuilt_difference(
    settings: Settings, trust: TrustOutcome, seen: Running, record: PathRecord, progress: Progress, *, diffoscope: bool
) -> FileDifference:
    """Compare the path on disk with what its builder makes now, in a ghost store."""
    names = ("disk", "rebuilt")
    try:
        with rebuilt(settings, trust, seen, record.path, progress) as (made, file):
            same = "the bytes that CI signed" if made == record.nar_hash else f"other bytes than CI signed: {made}"
            source = f"built again here: {same}"
            return _compared(file, record, settings.config, names=names, source=source, diffoscope=diffoscope)
    except (EcError, OSError) as error:
        return FileDifference(left=names[0], right=names[1], unavailable=one_line(str(error)))


def _compared(
    other: IO[bytes], record: PathRecord, config: Config, *, names: tuple[str, str], source: str, diffoscope: bool
) -> FileDifference:
    with tempfile.TemporaryFile() as disk:
        dump(config.location.physical(record.path), disk.write, limit=_MOST * record.nar_size + (64 << 20))
        disk.seek(0)
        sides = (disk, other) if names[0] == "disk" else (other, disk)
        left, right = (read(cast("BinaryIO", side)) for side in sides)
        found = compare(left, right)
        said = None
        if diffoscope:
            target = config.state / "explain" / f"{base_name(record.path)}.{names[0]}-{names[1]}.txt"
            try:
                said = str(report(sides[0], sides[1], names, target))
            except (EcError, OSError) as error:
                said = f"none: {one_line(str(error))}"
    return FileDifference(
        left=names[0],
        right=names[1],
        source=one_line(source),
        count=found.count,
        complete=found.complete,
        diffoscope=said,
        entries=tuple(
            Entry(
                path=one.path,
                kind=_KINDS.get(one.kind) or f"only {names[one.kind == 'only right']}",
                left=one.left,
                right=one.right,
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
