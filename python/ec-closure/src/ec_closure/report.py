"""The report: what one run of `ec-verify` asked, saw and concluded. Signed whatever the verdict is."""

from __future__ import annotations

import base64
from collections import Counter
from typing import Annotated, Literal

import msgspec

from ec_closure import canonical, intoto, strict_json
from ec_closure.errors import BadInputError
from ec_closure.findings import Severity
from ec_closure.manifest_rules import MAX_PATHS
from ec_closure.policy import Level
from ec_closure.record import Count, Record, Sha256, Sri, Text

PREDICATE_TYPE = "https://every.channel/attestation/ec-verify-report/v1"
MAX_BYTES = 32 << 20
MAX_LISTED = 1000

PathVerdict = Literal[
    "rebuilt", "fixed", "matches", "corrupt", "missing", "unreproducible", "inherited", "unbuildable", "unchecked",
    "unchanged",
]  # fmt: skip
VERDICT_LETTERS: dict[PathVerdict, str] = {
    "rebuilt": "R",
    "fixed": "F",
    "matches": "M",
    "corrupt": "C",
    "missing": "X",
    "unreproducible": "N",
    "inherited": "I",
    "unbuildable": "B",
    "unchecked": "?",
    "unchanged": "U",
}
_BY_LETTER: dict[str, PathVerdict] = {letter: verdict for verdict, letter in VERDICT_LETTERS.items()}

FindingCode = Annotated[str, msgspec.Meta(pattern=r"^EV[1-9][0-9]{2}$(?!\n)")]
Overall = Literal["passed", "failed", "undecided"]


class ReportError(BadInputError):
    """The report is malformed."""

    code = "report"


class Finding(Record, frozen=True, kw_only=True):
    """One thing that is wrong. *code* is one of those in `findings`; *message* is one line."""

    code: FindingCode
    severity: Severity
    message: Text
    hint: Text
    path: Text | None = None


class Cause(Record, frozen=True, kw_only=True):
    """What several findings have in common, and what follows from it: the shortest answer to what is wrong.

    *count* findings of *code* and *severity* are of this cause; *message* is the first one's, *paths* the first that
    they name. *follows* counts findings of other codes that are explained by these, none of which weighs more.
    *affected* counts other paths of the system that this reaches: those that need a missing or altered path, or that
    inherit a difference.
    """

    code: FindingCode
    severity: Severity
    title: Text
    message: Text
    hint: Text
    count: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    paths: tuple[Text, ...] = ()
    follows: dict[str, int] = {}
    affected: Count = 0


class LeftOut(Record, frozen=True, kw_only=True):
    """How many findings of one code and severity a report does not list, because there are too many."""

    code: FindingCode
    severity: Severity
    count: Count


class Coverage(Record, frozen=True, kw_only=True):
    """What one step covered. *done* of *total* units; *reasons* counts why the rest was not."""

    step: Text
    status: Literal["done", "partly", "not done"]
    done: Count = 0
    total: Count = 0
    reasons: dict[str, int] = {}


class Observed(Record, frozen=True, kw_only=True):
    """A path and the hash that was seen, where it differs from what CI signed."""

    path: Text
    nar_hash: Sri


class Listed(Record, frozen=True, kw_only=True):
    """Paths that should not be there: how many, and the first of them."""

    count: Count = 0
    paths: tuple[Text, ...] = ()


class ManifestReference(Record, frozen=True, kw_only=True):
    """Which manifest was used, by the digest of its published bytes."""

    digest: Sha256
    target: Text
    tag: Text
    version: Count


class VerifierIdentity(Record, frozen=True, kw_only=True):
    """What ran."""

    version: Text
    nix: Text | None = None


class Freshness(Record, frozen=True, kw_only=True):
    """How current the node is: *lag* counts newer releases; *metadata_age* in seconds, None without metadata."""

    lag: Count | None = None
    latest_version: Count | None = None
    metadata_age: int | None = None


class Reading(Record, frozen=True, kw_only=True):
    """How much of it happened in this run. *read* paths were read, *unchanged* ones were not written to since.

    *oldest_age* is how long ago, in seconds, the one that was read longest ago was; 0 when all were read now.
    *rebuilt* outputs came out as signed in this run, *rebuilt_before* did in an earlier one that still counts, the
    first of them *oldest_rebuild_age* seconds ago.
    """

    read: Count = 0
    unchanged: Count = 0
    oldest_age: Count = 0
    rebuilt: Count = 0
    rebuilt_before: Count = 0
    oldest_rebuild_age: Count = 0


class Report(Record, frozen=True, kw_only=True):
    """The predicate of the signed statement.

    *verdicts* holds one letter per manifest path in manifest order (`VERDICT_LETTERS`), zstd and
    base64; empty without a manifest. *observed_digest* is the SHA-256 over `path NUL sri LF` of
    all paths read, sorted. *evidence_digest* is that of the index of its evidence bundle, where one was
    made. *causes* stand for all findings, gravest first; *findings* lists at most `MAX_LISTED`, never a
    lighter one in place of a graver, and *left_out* counts the others. Times are seconds since 1970;
    *reference_time* is the judge's clock.
    """

    verifier: VerifierIdentity
    node: Text
    policy_digest: Sha256
    config_digest: Sha256
    node_data_digest: Sha256 | None = None
    toplevel: Text
    manifest: ManifestReference | None = None
    level_asked: Level
    level_reached: Level | None = None
    verdict: Overall
    verdicts: str = ""
    counts: dict[str, int] = {}
    differing: tuple[Observed, ...] = ()
    rebuilt_differing: tuple[Observed, ...] = ()
    observed_digest: Sha256 | None = None
    evidence_digest: Sha256 | None = None
    unlisted: Listed = Listed()
    extra: Listed = Listed()
    causes: tuple[Cause, ...] = ()
    findings: tuple[Finding, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    freshness: Freshness = Freshness()
    reading: Reading = Reading()
    started: Count
    finished: Count
    reference_time: Count
    boot_id: Text | None = None
    counter: Count = 0
    nonce: Annotated[str, msgspec.Meta(min_length=16, max_length=256)] | None = None


class RunOutput(Report, frozen=True, kw_only=True):
    """What `ec-verify run --json` prints: the report, and for each manifest path its verdict in words."""

    paths: dict[str, PathVerdict] = {}
    reasons: dict[str, str] = {}


def pack_verdicts(verdicts: list[PathVerdict]) -> str:
    """Return one letter per path, compressed for the report; the empty text for no paths."""
    if not verdicts:
        return ""
    return base64.b64encode(canonical.compress("".join(map(VERDICT_LETTERS.__getitem__, verdicts)).encode())).decode()


def unpack_verdicts(packed: str, *, what: str = "verdicts") -> list[PathVerdict]:
    """Return the verdicts of a report. Raises `ReportError` for letters that mean nothing."""
    if not packed:
        return []
    try:
        raw = base64.b64decode(packed, validate=True)
    except ValueError as error:
        raise ReportError(f"not base64: {error}", place=what) from error
    letters = canonical.decompress(raw, what=what, max_bytes=MAX_PATHS).decode("latin-1")
    unknown = set(letters) - _BY_LETTER.keys()
    if unknown:
        position = min(map(letters.index, unknown))
        raise ReportError(f"{letters[position]!r} is no verdict", place=f"{what}[{position}]")
    return [_BY_LETTER[letter] for letter in letters]


def statement(report: Report, subject: intoto.Subject) -> bytes:
    """Return the in-toto statement about the toplevel *subject*, as it is to be signed."""
    predicate = msgspec.to_builtins(report)
    return intoto.encode(intoto.Statement(subject=(subject,), predicate_type=PREDICATE_TYPE, predicate=predicate))


class ReportStatement(
    msgspec.Struct, frozen=True, kw_only=True, rename={"type_": "_type", "predicate_type": "predicateType"}
):
    """A decoded statement that carries a report."""

    type_: Literal["https://in-toto.io/Statement/v1"]
    subject: tuple[intoto.Subject, ...]
    predicate_type: Literal["https://every.channel/attestation/ec-verify-report/v1"]
    predicate: Report


def decode(payload: bytes, *, what: str = "report") -> ReportStatement:
    """Decode the payload of an envelope. Verify the envelope first (`dsse.verify`).

    Raises `LimitError`, `JsonError`, or `ReportError` for a report that contradicts itself. Not
    checked: the report against its manifest, and whether its node tells the truth.
    """
    found = strict_json.decode(payload, ReportStatement, what=what, max_bytes=MAX_BYTES, max_depth=12)
    if len(found.subject) != 1 or found.subject[0].name != found.predicate.toplevel:
        raise ReportError("the statement's subject is not the report's toplevel", place=f"{what}: subject")
    _check(found.predicate, f"{what}: predicate")
    return found


def _check(report: Report, what: str) -> None:
    verdicts = unpack_verdicts(report.verdicts, what=f"{what}: verdicts")
    if bool(verdicts) != (report.manifest is not None):
        raise ReportError("verdicts and a manifest go together", place=f"{what}: verdicts")
    if Counter(verdicts) != report.counts:
        raise ReportError("the counts are not those of the verdicts", place=f"{what}: counts")
    failing = any(finding.severity == "fail" for finding in report.findings)
    if failing != (report.verdict == "failed"):
        raise ReportError("a run failed if and only if a finding fails it", place=f"{what}: verdict")
    if report.verdict == "passed" and (report.manifest is None or report.level_reached != report.level_asked):
        raise ReportError("passed without a manifest or below the level asked", place=f"{what}: verdict")
