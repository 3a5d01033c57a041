"""Checking an evidence bundle, offline and without Nix: every conclusion is drawn again from the bundle and the root.

1. the container and its index · 2. the report's signature · 3. every member's digest · 4. the chain from the pinned
root to the manifests · 5. policy and configuration · 6. the judge, run again on what was observed · 7. the report,
field by field. The numbers in the comments are these. Not checked, because nothing in a bundle can show it: whether the
node told the truth about what it observed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.signer import SSlibKey

from ec_closure import canonical, dsse, evidence, intoto
from ec_closure import policy as policies
from ec_closure import report as reports
from ec_closure.errors import BadInputError, TransportError, TrustError
from ec_closure.evidence import CheckedStep, EvidenceCheck
from ec_verify.config import Config, Settings
from ec_verify.evidence import document as documents
from ec_verify.evidence.document import UnknownFieldError
from ec_verify.evidence.rederive import rederive
from ec_verify.judge import judge
from ec_verify.report import build
from ec_verify.run import Outcome
from ec_verify.text import one_line

if TYPE_CHECKING:
    from securesystemslib.signer import Key

    from ec_closure.evidence import EvidenceIndex
    from ec_closure.policy import Policy
    from ec_closure.report import Report, ReportStatement
    from ec_verify.judge import Case
    from ec_verify.model import TrustOutcome

_LIMITS = (
    "that the node told the truth: whoever is root there can make it sign anything",
    "what is remembered of earlier runs: paths that were not read again, and when they were last rebuilt",
    "that nothing changed on the node before or after the run",
    "whether newer metadata exist than those in the bundle, such as a later withdrawal",
)
_UNNAMED = "which node signed: the key came with the bundle; name the enrolled one with --node-key"
_STEPS = ("container", "signature", "members", "trust", "policy and configuration", "judgement", "report")


class KeyFileError(BadInputError):
    """A file holds no public key of a node."""

    code = "verify.node-key"


class _ContradictedError(Exception):
    """A step does not hold; the message is one line."""


class _UndecidedError(Exception):
    """This program cannot tell; the message is one line."""


@dataclass
class _Course:
    """The steps done so far."""

    steps: list[CheckedStep]

    def holds(self, detail: str) -> None:
        """Note that the next step holds."""
        self._add("holds", detail)

    def ends(self, result: Literal["contradicted", "not checked"], detail: str) -> None:
        """Note that the next step does not hold, and that those after it are not tried."""
        self._add(result, detail)
        while len(self.steps) < len(_STEPS):
            self._add("not checked", "")

    def _add(self, result: Literal["holds", "contradicted", "not checked"], detail: str) -> None:
        self.steps.append(CheckedStep(step=_STEPS[len(self.steps)], result=result, detail=one_line(detail)))


def load_key(data: bytes, *, what: str) -> Key:
    """Return the public key in PEM *data*. Raises `KeyFileError`."""
    try:
        return SSlibKey.from_crypto(load_pem_public_key(data))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError("is no public key", place=what, hint="`ec-verify key` prints a node's") from error


def check(
    data: bytes, root: bytes, *, node_key: bytes | None = None, time: datetime | None = None, what: str = "evidence"
) -> EvidenceCheck:
    """Check the bundle *data* from the pinned *root*.

    *node_key* (PEM) is the one that must have signed; without, the bundle's own. Metadata must not have expired at
    *time*, by default the report's reference time. Raises `BadInputError` for a bundle, key or report that is
    malformed; what does not agree is told in the result.
    """
    # 1. Container and index: bytes that follow their form, nothing believed yet.
    members, index = evidence.read(data, what=what)
    course = _Course([])
    course.holds(f"{len(members)} members")
    # 2. Signature. The key is looked at before anything that it may have signed.
    named = node_key if node_key is not None else members.get(evidence.NODE_KEY)
    if named is None:
        raise evidence.EvidenceError(f"holds no {evidence.NODE_KEY}", place=what)
    key = load_key(named, what="--node-key" if node_key is not None else f"{what}: {evidence.NODE_KEY}")
    envelope = members[evidence.REPORT]
    signed = True
    try:
        payload = dsse.verify(envelope, intoto.PAYLOAD_TYPE, [key], what=f"{what}: {evidence.REPORT}")
    except TrustError:
        # Told with what the report says of itself; it is bounded and strict to parse, and nothing of it is believed.
        payload, signed = dsse.unverified(envelope, what=f"{what}: {evidence.REPORT}"), False
    statement = reports.decode(payload, what=f"{what}: {evidence.REPORT}")
    judged_at = time or datetime.fromtimestamp(statement.predicate.reference_time, UTC)
    outcome: Literal["verified", "contradicted", "undecided"] = "verified"
    findings: tuple[str, ...] = ()
    try:
        _require_signature(signed=signed)
        course.holds(f"by {key.keyid[:16]}…" + ("" if node_key is not None else ", the key in the bundle"))
        findings = _conclude(course, members, index, statement, root, judged_at)
    except _ContradictedError as error:
        outcome = "contradicted"
        course.ends("contradicted", str(error))
    except _UndecidedError as error:
        outcome = "undecided"
        course.ends("not checked", str(error))
    return _result(statement.predicate, course, outcome, findings, key, judged_at, own_key=node_key is None)


def _require_signature(*, signed: bool) -> None:
    if not signed:
        raise _ContradictedError("the report is not signed by this key")


def _conclude(
    course: _Course,
    members: dict[str, bytes],
    index: EvidenceIndex,
    statement: ReportStatement,
    root: bytes,
    judged_at: datetime,
) -> tuple[str, ...]:
    """Carry out steps 3 to 7 and return the findings of the judge."""
    report = statement.predicate
    # 3. Members: the signed report cites the index, the index everything else.
    if report.evidence_digest != canonical.digest(members[evidence.INDEX]):
        raise _ContradictedError("the index is not the one that the report cites")
    if wrong := evidence.disagreements(members, index):
        raise _ContradictedError(wrong[0] + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""))
    course.holds("each is what the signed report cites")
    # 4. Trust.
    case = _decode_case(members)
    _agree("level", case.level, report.level_asked)
    _agree("reference time", case.time, report.reference_time)
    try:
        trust, expired = rederive(case, members, index, root, judged_at)
    except (TrustError, BadInputError, TransportError) as error:
        raise _ContradictedError(str(error)) from error
    if claimed := _differing(trust, case):
        raise _ContradictedError(f"the metadata do not say what the node says they do: {claimed}")
    if expired:
        text = f"{', '.join(expired)} metadata had expired at {judged_at:%Y-%m-%d %H:%M}"
        if judged_at.timestamp() == report.reference_time and not case.trust.offline:
            raise _ContradictedError(f"{text}, and the node says that it had fresh ones")
        if judged_at.timestamp() != report.reference_time:
            raise _UndecidedError(text)
    course.holds(_trusted(report, judged_at, expired))
    # 5. Policy and configuration.
    policy = _policy(members, report)
    course.holds("their digests are those in the report")
    # 6. Judgement.
    whole = replace(case, policy=policy, trust=trust)
    outcome = Outcome(whole, judge(whole), report.verifier.nix)
    _same_version(report, outcome)
    course.holds(f"{outcome.judgement.verdict}, {len(outcome.judgement.findings)} findings")
    # 7. Report.
    _compare(statement, outcome)
    course.holds("says what the judge says, field by field")
    return tuple(one_line(f"{one.code} {one.severity} {one.message}") for one in outcome.judgement.findings)


def _decode_case(members: dict[str, bytes]) -> Case:
    try:
        raw = canonical.decompress(members[evidence.CASE], what=evidence.CASE, max_bytes=documents.MAX_BYTES)
        return documents.decode(raw, what=evidence.CASE).case
    except UnknownFieldError as error:
        raise _UndecidedError(f"{error}; {error.hint}") from error


def _agree(what: str, one: object, other: object) -> None:
    if one != other:
        raise _ContradictedError(f"the {what} of the case is {one}, that of the report {other}")


def _differing(trust: TrustOutcome, case: Case) -> str:
    """Name what the claimed outcome says otherwise than the metadata do; empty when nothing."""
    names = (
        "manifest_digest", "target", "metadata_age", "latest_version", "newer_releases", "min_version", "withdrawn",
        "specialisation",
    )  # fmt: skip
    return next(
        (
            f"{name} is {getattr(trust, name)}, not {getattr(case.trust, name)}"
            for name in names
            if getattr(trust, name) != getattr(case.trust, name)
        ),
        "",
    )


def _trusted(report: Report, judged_at: datetime, expired: tuple[str, ...]) -> str:
    if report.manifest is None:
        return "the report rests on no manifest"
    when = f"{judged_at:%Y-%m-%d %H:%M} UTC"
    fresh = (
        f"expired by {when}: {', '.join(expired)}; the node said that it was offline" if expired else f"as of {when}"
    )
    return f"release {report.manifest.tag} follows from the pinned root, {fresh}"


def _policy(members: dict[str, bytes], report: Report) -> Policy:
    for name, cited in ((evidence.POLICY, report.policy_digest), (evidence.CONFIG, report.config_digest)):
        if canonical.digest(members[name]) != cited:
            raise _ContradictedError(f"{name} is not the one that the report cites")
    if not members[evidence.POLICY]:
        return policies.Policy()
    return policies.decode(members[evidence.POLICY], what=evidence.POLICY)


def _same_version(report: Report, outcome: Outcome) -> None:
    ours, theirs = version("ec-verify"), report.verifier.version
    if ours != theirs and outcome.judgement.verdict != report.verdict:
        raise _UndecidedError(f"judged by ec-verify {theirs}; this is {ours}, which concludes otherwise: use {theirs}")


def _compare(statement: ReportStatement, outcome: Outcome) -> None:
    report = statement.predicate
    settings = Settings(
        Config(node=report.node, policy=""),
        report.config_digest,
        outcome.case.policy,
        report.policy_digest,
        node_data_digest=report.node_data_digest,
    )
    occasion = build.Occasion(
        datetime.fromtimestamp(report.started, UTC),
        datetime.fromtimestamp(report.finished, UTC),
        report.boot_id,
        report.counter,
        report.nonce,
        report.evidence_digest,
    )
    again = build.build(settings, outcome, occasion)
    for name in reports.Report.__struct_fields__:
        # Who ran it is no conclusion, and verdicts are packed: what they say is compared, not how.
        one, other = getattr(report, name), getattr(again, name)
        if name == "verifier":
            continue
        if name == "verdicts":
            one, other = reports.unpack_verdicts(one), reports.unpack_verdicts(other)
        if one != other:
            if report.verifier.version != version("ec-verify"):
                raise _UndecidedError(f"{name} differs, as judged by this version; use {report.verifier.version}")
            raise _ContradictedError(f"the report's {name} is not what the judge concludes from the evidence")
    if statement.subject != (build.subject(outcome),):
        raise _ContradictedError("the report's subject is not the system that was observed")


def _result(
    report: Report,
    course: _Course,
    outcome: Literal["verified", "contradicted", "undecided"],
    findings: tuple[str, ...],
    key: Key,
    judged_at: datetime,
    *,
    own_key: bool,
) -> EvidenceCheck:
    return EvidenceCheck(
        outcome=outcome,
        verdict=report.verdict,
        level_asked=report.level_asked,
        level_reached=report.level_reached,
        node=one_line(report.node),
        node_key=one_line(key.keyid),
        toplevel=one_line(report.toplevel),
        release=one_line(f"{report.manifest.tag} (version {report.manifest.version})") if report.manifest else None,
        reference_time=report.reference_time,
        judged_at=int(judged_at.timestamp()),
        steps=tuple(course.steps),
        findings=findings,
        limits=(*_LIMITS, _UNNAMED) if own_key else _LIMITS,
    )
