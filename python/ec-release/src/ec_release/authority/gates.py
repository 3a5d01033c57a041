"""The six gates: what must be true of a release authority, the current one and each that is proposed. Pure.

Each gate is a list of parts, each with the line that says whether it is met. What the repository shows is computed;
what it cannot show (that somebody answers when a scan fails) the declaration says, and the documents repeat.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ec_closure.decoding import excerpt
from ec_closure.release_gate import AuthorityResult, Evidence, GateResult
from ec_release.authority.rules import contract, documents, security

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ec_closure.release_gate import Finding, Gate
    from ec_release.authority.declaration import Owners, Proposal, Surface
    from ec_release.authority.deeds import Deed
    from ec_release.authority.facts import Facts
    from ec_release.authority.sources import Place


def evaluate(facts: Facts, findings: Sequence[Finding]) -> tuple[AuthorityResult, ...]:
    """Return the gates of the current authority, then of every proposal, given what is wrong already."""
    dashboard = facts.declared.dashboard
    current = _Candidate(facts, findings, [facts.authority], facts.authority, dashboard.owners, None)
    proposed = [
        _Candidate(
            facts,
            findings,
            [facts.declared.surface_named(name) for name in one.surfaces],
            facts.declared.surface_named(one.canonical),
            one.owners,
            one,
        )
        for one in facts.declared.proposal
    ]
    return tuple(candidate.result() for candidate in (current, *proposed))


class _Candidate:
    """One authority: the current one, or (with *proposal*) one that somebody thought of."""

    def __init__(
        self,
        facts: Facts,
        findings: Sequence[Finding],
        surfaces: list[Surface],
        canonical: Surface,
        owners: Owners | None,
        proposal: Proposal | None,
    ) -> None:
        self.facts, self.findings, self.surfaces, self.canonical = facts, findings, surfaces, canonical
        self.owners, self.proposal = owners, proposal
        self.at = facts.declared_at(f'"{proposal.name}"' if proposal else "authority =")

    def result(self) -> AuthorityResult:
        gates = (
            self.gate("source-of-truth", self.source_of_truth()),
            self.gate("security-parity", self.security()),
            self.gate("publication-parity", self.publication()),
            self.gate("deployment-consumption", self.deployment()),
            self.gate("documentation-convergence", self.documents()),
            self.gate("ownership", self.ownership()),
        )
        name = self.proposal.name if self.proposal else self.canonical.name
        return AuthorityResult(
            name=name, current=self.proposal is None, met=all(gate.met for gate in gates), gates=gates
        )

    @staticmethod
    def gate(name: Gate, evidence: Iterable[Evidence]) -> GateResult:
        parts = tuple(evidence)
        return GateResult(gate=name, met=bool(parts) and all(part.met for part in parts), evidence=parts)

    def says(self, says: str, place: Place | None = None, *, met: bool) -> Evidence:
        at = place or self.at
        return Evidence(met=met, says=excerpt(says, 600), file=at.file, line=at.line)

    def without(self, *codes: str) -> Iterable[Evidence]:
        """Say that there is no finding of these kinds, or which one there is."""
        found = [one for one in self.findings if one.code in codes]
        for one in found[:5]:
            yield Evidence(met=False, says=excerpt(f"{one.code}: {one.message}", 600), file=one.file, line=one.line)

    def source_of_truth(self) -> Iterable[Evidence]:
        declared = self.facts.declared.dashboard.authority
        is_declared = self.canonical.name == declared
        yield self.says(f"the declaration names {declared}", self.facts.declared_at("authority ="), met=is_declared)
        for surface in self.surfaces:
            role = "authoritative" if surface is self.canonical else "non-authoritative"
            at = self.facts.declared_at(f'name = "{surface.name}"')
            yield self.says(f"{surface.name} is declared {surface.role}", at, met=surface.role == role)
        yield from self.without("RA103", "RA201", "RA202", "RA203", "RA205", "RA206") if is_declared else ()

    def deeds(self) -> list[Deed]:
        """Return the publications of the canonical surface."""
        return [
            deed
            for deed in self.facts.deeds
            if deed.act.kind == "image" and self.facts.surface_of(deed.act.source) == self.canonical
        ]

    def security(self) -> Iterable[Evidence]:
        deeds = self.deeds()
        if not deeds:
            yield self.says(f"no workflow publishes {self.canonical.name}, so nothing is scanned or signed", met=False)
        for push in {str(deed.place): deed for deed in deeds}.values():
            lacking = list(security.missing(self.facts, push))
            if not lacking:
                required = ", ".join(self.facts.declared.dashboard.requires)
                yield self.says(f"{required} of what is pushed here, by its digest", push.place, met=True)
            for code, deed, message in lacking:
                yield self.says(f"{code}: {message}", deed.place, met=False)
        owner = self.owners.security if self.owners else None
        told = owner is not None and self.told(owner)
        yield self.says(
            f"{owner or 'nobody'} answers for scans and signatures that fail", self.owner_at("security"), met=told
        )

    def publication(self) -> Iterable[Evidence]:
        deeds = self.deeds()
        workflows = [
            one
            for one in self.facts.declared.dashboard.workflow
            if any(deed.workflow.file == one.file for deed in deeds)
        ]
        releases = [one for one in workflows if one.output == "release"]
        events = {run.file: run.events for run in self.facts.runs}
        intentional = [
            one
            for one in releases
            if set(events[one.file]) <= {"push", "workflow_dispatch", "release"}
            and all(pattern.startswith("t:") for pattern in events[one.file].get("push", ()))
            and ("push" not in events[one.file] or events[one.file]["push"])
        ]
        at = self.facts.declared_at(f'"{releases[0].file}"') if releases else None
        yield self.says("a release is started by a tag or by hand alone", at, met=bool(intentional))
        versioned = [tag for one in releases for tag in one.tags if re.match(r"v[0-9]*\*", tag)]
        yield self.says(f"releases have versions: {', '.join(versioned) or 'none'}", at, met=bool(versioned))
        digests = [deed for deed in deeds if not list(security.missing(self.facts, deed))]
        place = digests[0].place if digests else None
        yield self.says("what is pushed is addressed by its digest", place, met=bool(digests))
        apart = bool(releases) and all(
            not set(one.tags) & set(other.tags) for one in releases for other in workflows if one is not other
        )
        yield self.says("CI's output and releases have tags of their own", at, met=apart)
        yield from self.without("RA204") if deeds else ()

    def deployment(self) -> Iterable[Evidence]:
        images = self.canonical.kind in ("dockerfile-image", "nix-image")
        install = self.facts.declared.dashboard.install
        yield self.says(
            f"{install.stack} installs images, and {self.canonical.name} is {self.canonical.kind}", met=images
        )
        for met, what, place in contract.kept(self.facts):
            yield self.says(what, place, met=met)
        if not any(deed for deed in self.deeds()):
            yield self.says(f"nothing under {self.facts.declared.dashboard.repository} is made of it", met=False)
        yield from self.without("RA402", "RA403", "RA502")

    def documents(self) -> Iterable[Evidence]:
        declared = self.canonical.name == self.facts.declared.dashboard.authority
        at = self.facts.files.place_of(self.facts.declared.documents.authority, self.facts.authority.source or "\0")
        if not declared:
            yield self.says(
                f"documents tell of {self.facts.authority.name}, not of {self.canonical.name}", at, met=False
            )
            return
        for met, what, place in documents.told(self.facts):
            yield self.says(what, place, met=met)
        yield from self.without("RA501", "RA502", "RA504", "RA505")

    def ownership(self) -> Iterable[Evidence]:
        for what, role in (
            ("promotion", self.owners.promotion if self.owners else None),
            ("breakage", self.owners.breakage if self.owners else None),
        ):
            met = role is not None and self.told(role)
            yield self.says(f"{role or 'nobody'} answers for {what}", self.owner_at(what), met=met)
        if self.proposal:
            yield self.says(f"{self.proposal.transition} answers for the transition plan", met=True)

    def owner_at(self, what: str) -> Place:
        return self.facts.declared_at(f"{what} =") if self.owners else self.at

    def told(self, role: str) -> bool:
        """Tell whether the document about authority names a role."""
        path = self.facts.declared.documents.authority
        return path in self.facts.files.texts and role in self.facts.files.text(path)
