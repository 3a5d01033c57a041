"""From facts to a judgement: every rule, then the gates. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_closure.decoding import excerpt
from ec_closure.release_gate import Finding, Judgement, Published
from ec_release.authority import gates
from ec_release.authority.facts import finding
from ec_release.authority.rules import contract, declared, documents, publications, security

if TYPE_CHECKING:
    from ec_release.authority.facts import Facts

_KINDS = frozenset(["image", "images", "release", "metadata", "flakehub", "cache"])
_MAX = 600


def judge(facts: Facts) -> Judgement:
    """Return what is to be said of a repository."""
    findings: list[Finding] = []
    for rule in (declared.judge, publications.judge, security.judge, contract.judge, documents.judge):
        findings += rule(facts)
    authorities = gates.evaluate(facts, findings)
    # What was a proposal is in force already.
    changed = any(one.canonical == facts.declared.dashboard.authority for one in facts.declared.proposal)
    code = "RA602" if changed else "RA601"
    for authority in authorities:
        for gate in authority.gates:
            if authority.current and not gate.met:
                first = next(part for part in gate.evidence if not part.met)
                place = facts.declared_at("authority =")
                findings.append(finding(code, place, f"{gate.gate}: {first.says} ({first.file}:{first.line})"))
    unique = sorted(dict.fromkeys(findings), key=lambda one: (one.severity, one.file, one.line, one.code, one.message))
    return Judgement(
        passed=not any(one.severity == "fail" for one in unique),
        authority=facts.declared.dashboard.authority,
        repository=facts.declared.dashboard.repository,
        publications=_published(facts),
        authorities=authorities,
        findings=tuple(unique),
    )


def _published(facts: Facts) -> tuple[Published, ...]:
    rows = [
        Published(
            kind=deed.act.kind,
            target=excerpt(deed.act.target or "-", _MAX),
            source=excerpt(deed.act.source or "-", _MAX),
            tool=excerpt(deed.act.tool, _MAX),
            workflow=deed.workflow.file,
            job=excerpt(deed.job.path, _MAX),
            file=deed.place.file,
            line=deed.place.line,
        )
        for deed in facts.deeds
        if deed.act.kind in _KINDS
    ]
    return tuple(dict.fromkeys(rows))
