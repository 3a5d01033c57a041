"""Numbered metadata from the first on: there, signed, and never about other bytes than before.

The keys of every root that leads to the newest one count: history was signed by those who were trusted then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tuf.api.exceptions import DownloadError, DownloadHTTPError

from ec_closure.decoding import excerpt
from ec_fetch.errors import FetchError
from ec_fetch.strict import LIMITS
from ec_release.audit.checking import NotDone
from ec_release.errors import PublishedMetadataError
from ec_release.trust.published import parse
from ec_release.trust.signing import verify
from ec_release.trust.standing import standing_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tuf.api.metadata import Metadata, Root, Targets

    from ec_fetch.fetcher import ReleaseFetcher
    from ec_fetch.trusted import TrustedState
    from ec_release.audit.checking import Seen
    from ec_release.trust.roles import Role

_ABSENT = frozenset({403, 404, 410})


_MAX = 20_000
"""States of one role that are looked at: fifty years of daily signing, and an end to what a stolen key may number."""


def trusted_roots(pinned: bytes, verified: Mapping[str, bytes]) -> list[Root]:
    """Return the *pinned* root and those after it, out of the *verified* metadata files by name."""
    roots = {name: data for name, data in verified.items() if name.endswith(".root.json")}
    found = [parse(pinned, "root", "pinned root"), *(parse(data, "root", name) for name, data in roots.items())]
    return [root.signed for root in sorted({one.signed.version: one for one in found}.values(), key=_version)]


def _version(root: Metadata[Root]) -> int:
    version: int = root.signed.version
    return version


class History:
    """Numbered metadata below the address *base*, looked at; problems go to *seen*, names to *report*."""

    def __init__(self, base: str, fetcher: ReleaseFetcher, seen: Seen, report: Callable[[str], None]) -> None:
        self._base = base
        self._fetcher = fetcher
        self._seen = seen
        self._report = report

    def roots(self, pinned: bytes, newest: int) -> list[Root]:
        """Return the roots from the first to the *newest*, as far as they follow one another and hold the *pinned* one.

        The pinned root and those after it are trusted; those before it, as far as it follows from them.
        """
        anchor = parse(pinned, "root", "pinned root")
        own = anchor.signed.version
        there = {number: root for number in range(1, newest + 1) if (root := self._load("root", number)) is not None}
        if own in there and there[own].signed_bytes != anchor.signed_bytes:
            self._seen.problems.append(f"{own}.root.json: is another than the pinned root")
        found = {own: anchor}
        for number in range(own + 1, newest + 1):
            if number in there and number - 1 in found and self._follows(there[number], found[number - 1]):
                found[number] = there[number]
        for number in range(own - 1, 0, -1):
            # What was before the pinned root is believed if its own root keys signed it, and signed what came after.
            before = there.get(number)
            if before is None or number + 1 not in found or not verify(before, "root", before.signed):
                continue
            if self._follows(found[number + 1], before):
                found[number] = before
        self._seen.problems += [
            f"{number}.root.json: does not belong to the chain of the pinned root"
            for number in sorted(there.keys() - found.keys())
        ]
        return [root.signed for _, root in sorted(found.items())]

    @staticmethod
    def _follows(root: Metadata[Root], before: Metadata[Root]) -> bool:
        return bool(root.signed.get_root_verification_result(before.signed, root.signed_bytes, root.signatures))

    def all_of(self, role: Role, newest: int, roots: list[Root]) -> list[Metadata[Any]]:
        """Return what is there of *role* from 1 to *newest*, signed by one of *roots*."""
        if newest > _MAX:
            raise NotDone(f"{newest} states where at most {_MAX} are looked at", place=f"{role} metadata")
        found = []
        for number in range(1, newest + 1):
            metadata = self._load(role, number)
            if metadata is None:
                continue
            if any(verify(metadata, role, root) for root in roots):
                found.append(metadata)
            else:
                self._seen.problems.append(f"{number}.{role}.json: is not signed by the keys of any root")
        return found

    def _load(self, role: Role, number: int) -> Metadata[Any] | None:
        name = f"{number}.{role}.json"
        self._report(name)
        try:
            data = self._fetcher.download_bytes(f"{self._base}{name}", LIMITS[role])
        except DownloadHTTPError as error:
            if error.status_code not in _ABSENT:
                raise FetchError(excerpt(str(error)), place=name) from error
            self._seen.problems.append(f"{name}: is missing")
            return None
        except DownloadError as error:
            raise FetchError(excerpt(str(error)), place=name) from error
        try:
            metadata = parse(data, role, name)
        except PublishedMetadataError as error:
            self._seen.problems.append(str(error))
            return None
        if metadata.signed.version != number:
            self._seen.problems.append(f"{name}: holds version {metadata.signed.version}")
            return None
        return metadata


def look(history: History, pinned: bytes, state: TrustedState, tag: str, seen: Seen) -> list[Root]:
    """Look at all numbered metadata up to *state*; return the roots. Problems go to *seen*."""
    roots = history.roots(pinned, state.root_version)
    targets = history.all_of("targets", state.targets_version, roots)
    history.all_of("snapshot", state.snapshot_version, roots)
    _unchanged([one.signed for one in targets], tag, seen)
    seen.detail = (
        f"{state.root_version} roots, {state.targets_version} targets and {state.snapshot_version} snapshots,"
        " without a gap, and the tag's bytes the same in all of them"
    )
    return roots


def _unchanged(targets: list[Targets], tag: str, seen: Seen) -> None:
    """Hold each state against the one before: assets of *tag* stay as they appeared, and releases only grow."""
    known: Mapping[str, Any] = {}
    latest = 0
    for body in targets:
        name = f"{body.version}.targets.json"
        here = {target: found.to_dict() for target, found in body.targets.items() if target.startswith(f"{tag}/")}
        if known and here != known:
            odd = min(one for one in known.keys() | here.keys() if known.get(one) != here.get(one))
            seen.problems.append(f"{name}: says otherwise of {odd} than before")
        known = here or known
        if not here and known:
            seen.problems.append(f"{name}: no longer names {tag}")
        standing = standing_of(body)
        if standing.latest < latest:
            seen.problems.append(f"{name}: goes back from release {latest} to {standing.latest}")
        latest = max(latest, standing.latest)
