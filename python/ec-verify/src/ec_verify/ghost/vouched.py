"""Which rows the ghost's database starts with: those that somebody other than the node's own database vouches for.

Nix believes a row: a path that is registered is neither written anew nor looked at. A forged row of a
derivation would hand the evaluation an answer, a forged row of a tool would hand it to a builder, and
triggers or cycles in a copied database would act inside. So the ghost's database is not a copy: it is
new, and holds only what step 3 saw with its own eyes and can justify. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_closure import signing
from ec_closure.hashes import Hash
from ec_closure.store_db import PathInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ec_closure.manifest import Manifest, PathRecord
    from ec_closure.signing import Keyring
    from ec_verify.scan.path import PathObservation


def vouched(
    rows: Mapping[str, PathInfo],
    paths: Mapping[str, PathObservation],
    manifests: Iterable[Manifest],
    keys: Keyring,
    store_dir: str,
) -> list[PathInfo]:
    """Return the rows to start with, sorted by path, references closed.

    A path is vouched for when the bytes that were seen are

    - those that a trusted manifest signs; references are then the manifest's, too;
    - those that its own name demands (content-addressed), and it is no derivation: those are made by
      the evaluation;
    - signed by one of *keys*, together with the row's references.
    """
    found: dict[str, PathInfo] = {}
    for manifest in manifests:
        for record in (*manifest.paths, *manifest.contents):
            seen = paths.get(record.path)
            if seen is not None and seen.nar_hash == record.nar_hash:
                found[record.path] = _signed(manifest, record, rows.get(record.path))
    for path, row in rows.items():
        if path not in found and _justified(row, paths.get(path), keys, store_dir):
            found[path] = row
    return [found[path] for path in sorted(_closed(found))]


def _signed(manifest: Manifest, record: PathRecord, row: PathInfo | None) -> PathInfo:
    return PathInfo(
        path=record.path,
        nar_hash=Hash.parse(record.nar_hash),
        nar_size=record.nar_size,
        references=manifest.references_of(record),
        signatures=row.signatures if row is not None else (),
        ca=record.ca,
    )


def _justified(row: PathInfo, seen: PathObservation | None, keys: Keyring, store_dir: str) -> bool:
    if seen is None or seen.nar_hash is None or seen.nar_hash != row.nar_hash.sri or row.path.endswith(".drv"):
        return False
    if row.ca is not None:
        return seen.deserved == row.path
    fingerprint = signing.fingerprint(row.path, row.nar_hash, seen.nar_size, row.references, store_dir)
    return bool(signing.valid_signers(fingerprint, row.signatures, keys))


def _closed(found: Mapping[str, PathInfo]) -> set[str]:
    """Return the paths of *found* whose whole closure is in *found*."""
    above: dict[str, list[str]] = {}
    broken: list[str] = []
    for path, row in found.items():
        for reference in row.references:
            above.setdefault(reference, []).append(path)
        if any(reference not in found for reference in row.references):
            broken.append(path)
    gone = set(broken)
    while broken:
        for path in above.get(broken.pop(), ()):
            if path not in gone:
                gone.add(path)
                broken.append(path)
    return set(found) - gone
