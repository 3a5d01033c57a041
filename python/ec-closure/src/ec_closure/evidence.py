"""The evidence bundle: one file from which a third party repeats a verdict, given only the pinned root.

An archive (`ec_closure.archive`) of the signed report and of all that its verdict rests on. The report cites the
SHA-256 of the index, the index that of every other member: one signature covers the whole.

    report.json             the DSSE envelope of the report
    evidence.json           the index
    case.json.zst           what was observed, evaluated and rebuilt, as the judge was given it
    manifests/NNN.zst       published manifests: that of the running system first, then those of other generations
    node.pem                the node's public key
    policy.toml, verify.toml
    trust/N.root.json …     the TUF metadata from which the manifests follow
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from ec_closure import archive, canonical
from ec_closure.errors import BadInputError
from ec_closure.manifest import MAX_COMPRESSED
from ec_closure.record import Count, Line, Record, Sha256, Text
from ec_closure.report import Overall

MAX_BYTES: Final = 1 << 30
MAX_INDEX: Final = 1 << 20
MAX_MANIFESTS: Final = 999

REPORT: Final = "report.json"
INDEX: Final = "evidence.json"
CASE: Final = "case.json.zst"
NODE_KEY: Final = "node.pem"
POLICY: Final = "policy.toml"
CONFIG: Final = "verify.toml"
TRUST: Final = "trust/"
_ALWAYS: Final = (CASE, NODE_KEY, POLICY, CONFIG)


class EvidenceError(BadInputError):
    """A bundle is malformed: members are missing, or nobody listed them."""

    code = "evidence"


class EvidenceIndex(Record, frozen=True, kw_only=True, tag_field="schema", tag="ec-runner.evidence.v1"):
    """What a bundle holds. *members* are digests by name, of all but the report and the index itself.

    *manifests* names the TUF targets that `manifests/000.zst` and so on are; *has_manifest* says whether the first is
    that of the running system. *refreshed* is when the node fetched the metadata by its own clock: its word alone.
    """

    members: dict[str, Sha256]
    manifests: Annotated[tuple[Line, ...], msgspec.Meta(max_length=MAX_MANIFESTS)] = ()
    has_manifest: bool = False
    refreshed: Count | None = None


class CheckedStep(Record, frozen=True, kw_only=True):
    """One thing that was checked again. *detail* is one line."""

    step: Text
    result: Literal["holds", "contradicted", "not checked"]
    detail: str = ""


class EvidenceCheck(Record, frozen=True, kw_only=True):
    """What `ec-verify check-evidence --json` prints.

    *outcome* `verified`: everything follows from the bundle and the root; `contradicted`: something does not;
    `undecided`: this program cannot tell. *verdict* is the report's, and means nothing unless the outcome is
    `verified`. *findings* are one line each, *limits* what no check of a bundle can show. Times are seconds since 1970.
    """

    outcome: Literal["verified", "contradicted", "undecided"]
    verdict: Overall
    level_asked: Text
    level_reached: Text | None = None
    node: Text
    node_key: Text
    toplevel: Text
    release: Text | None = None
    reference_time: Count
    judged_at: Count
    steps: tuple[CheckedStep, ...]
    findings: tuple[Text, ...] = ()
    limits: tuple[Text, ...] = ()


def manifest_member(position: int) -> str:
    """Return the name of the manifest at *position*."""
    return f"manifests/{position:03}.zst"


def index_of(members: dict[str, bytes], manifests: tuple[str, ...], **more: bool | int | None) -> bytes:
    """Return the index of *members*, which are all but the report. The report cites its digest."""
    digests = {name: canonical.digest(data) for name, data in members.items()}
    index = msgspec.structs.replace(EvidenceIndex(members=digests, manifests=manifests), **more)
    return canonical.encode(index)


def read(data: bytes, *, what: str) -> tuple[dict[str, bytes], EvidenceIndex]:
    """Return the members of the bundle *data* and its index.

    Raises `ArchiveError`, `BadInputError` or `EvidenceError` for what is no bundle. Not checked: any digest or
    signature; parse no other member before they are.
    """
    members = archive.unpack(data, what=what, max_bytes=MAX_BYTES, max_member=MAX_COMPRESSED)
    for name in (REPORT, INDEX):
        if name not in members:
            raise EvidenceError(f"holds no {name}", place=what, hint="is it an evidence bundle?")
    index = canonical.decode(members[INDEX], EvidenceIndex, what=f"{what}: {INDEX}", max_bytes=MAX_INDEX)
    wanted = {*_ALWAYS, *(manifest_member(position) for position in range(len(index.manifests)))}
    listed = {name for name in index.members if not name.startswith(TRUST)}
    if wanted != listed:
        odd = min(wanted ^ listed)
        problem = "is missing from the index" if odd in wanted else "is no member of a bundle"
        raise EvidenceError(f"{odd} {problem}", place=f"{what}: {INDEX}")
    return members, index


def disagreements(members: dict[str, bytes], index: EvidenceIndex) -> list[str]:
    """Return, one line each, where *members* are not those of *index*."""
    found = [f"{name} is missing" for name in sorted(index.members.keys() - members.keys())]
    found += [f"{name} is listed nowhere" for name in sorted(members.keys() - index.members.keys() - {REPORT, INDEX})]
    found += [
        f"{name} is not what the index names"
        for name, digest in sorted(index.members.items())
        if name in members and canonical.digest(members[name]) != digest
    ]
    return found
