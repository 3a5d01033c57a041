"""Findings of the other steps: trust (EV1xx), running state (EV3xx), source (EV4xx), rebuild (EV5xx)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ec_closure.report import Freshness
from ec_closure.store_path import StorePath
from ec_verify.judge.case import systems_of
from ec_verify.judge.layers import judge_store_layers, judge_written
from ec_verify.location import base_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_closure.manifest import Manifest
    from ec_closure.policy import Unreproducible
    from ec_closure.report import Finding
    from ec_verify.judge.case import Case, PathJudgement

_DAY = 86400


def judge_trust(case: Case) -> tuple[list[Finding], Freshness]:
    """Judge what signed metadata say about the running release."""
    trust = case.trust
    findings = case.raise_problems(trust.problems)
    freshness = case.policy.freshness
    if trust.metadata_age is not None and trust.metadata_age > freshness.max_age_days * _DAY:
        days = trust.metadata_age // _DAY
        findings.append(
            case.finding(
                "EV112", f"the last verified metadata are {days} days old; {freshness.max_age_days} are allowed"
            )
        )
    findings += _standing(case)
    if trust.newer_releases is not None and trust.newer_releases > freshness.max_lag:
        findings.append(
            case.finding("EV111", f"{trust.newer_releases} newer releases exist; {freshness.max_lag} are allowed")
        )
    return findings, Freshness(
        lag=trust.newer_releases, latest_version=trust.latest_version, metadata_age=trust.metadata_age
    )


def _standing(case: Case) -> Iterable[Finding]:
    """Judge the releases that run, were booted, or would be booted next."""
    trust, seen = case.trust, case.observation.running
    live = {seen.profile: "next", seen.booted: "booted", seen.current: "running"}
    for manifest in (trust.manifest, *trust.others):
        for path in systems_of(manifest) if manifest is not None else ():
            if manifest is not None and path in live:
                yield from _release(case, manifest, path, f"the {live[path]} system")


def _release(case: Case, manifest: Manifest, path: str, named: str) -> Iterable[Finding]:
    """Judge one system by its release and by what policy says of it."""
    trust, release, system = case.trust, manifest.release, manifest.system
    if not case.policy.allows_system(system.attr, system.name):
        yield case.finding("EV116", f"{named} is {system.name} ({system.attr})", path)
    if path != system.out_path:
        name = next(name for name, other in system.specialisations.items() if other == path)
        said = f"{named} is the specialisation {name!r} of {system.name}"
        yield case.finding("EV117" if case.policy.allow_specialisations else "EV116", said, path)
    named = f"{named}'s release {release.tag} (version {release.version})"
    if release.version in trust.withdrawn:
        yield case.finding("EV109", f"{named} was withdrawn", path)
    if release.version < trust.min_version:
        yield case.finding("EV110", f"{named} is below the minimum {trust.min_version}", path)


def judge_running(case: Case) -> Iterable[Finding]:
    """Judge whether what runs, what was booted and what will boot are one system."""
    seen = case.observation.running
    if seen.current is None:
        yield case.finding("EV301", "no link says which system runs")
    # A system holds its specialisations: one may be booted and another switched to, and the profile names the system.
    related = case.family if seen.current in case.family else frozenset()
    if seen.has_profile and seen.profile not in (seen.current, case.parent or seen.current):
        if seen.profile in {manifest.system.out_path for manifest in case.trust.others}:
            yield case.finding("EV304", f"the profile names another trusted system: {seen.profile}", seen.profile)
        else:
            named = f"names {seen.profile}" if seen.profile else "leads to no store path"
            runs = seen.current or "nothing known"
            yield case.finding("EV302", f"the system profile {named}; {runs} runs", seen.profile)
    if seen.booted is not None and seen.booted != seen.current and seen.booted not in related:
        code = "EV304" if seen.booted in case.trusted else "EV306"
        yield case.finding(code, f"{seen.booted} was booted, {seen.current} is current", seen.booted)
    if seen.command_line_init not in (None, seen.booted or seen.current):
        yield case.finding("EV305", f"the kernel was started for {seen.command_line_init}", seen.command_line_init)
    for mount in case.observation.mounts:
        yield case.finding("EV303", f"{mount.kind} ({mount.source}) is mounted over {mount.point}", mount.point)
    yield from judge_store_layers(case)
    yield from judge_written(case)


def judge_source(case: Case) -> Iterable[Finding]:
    """Judge what the embedded flake evaluates to."""
    evaluation, manifest = case.evaluation, case.manifest
    if evaluation is None:
        return
    yield from case.raise_problems(evaluation.problems)
    if evaluation.drv_path is None or manifest is None:
        return
    if evaluation.drv_path != manifest.system.drv_path:
        yield case.finding(
            "EV403", f"it evaluates to {evaluation.drv_path}; CI built {manifest.system.drv_path}", evaluation.drv_path
        )
    running = case.observation.running.current
    # The attribute is that of the whole system; which of its specialisations runs is no question of the source.
    expected = manifest.system.out_path if running in case.family else running
    if evaluation.out_path != expected:
        yield case.finding("EV404", f"it describes {evaluation.out_path}; {expected} runs", evaluation.out_path)


def judge_rebuild(case: Case, paths: tuple[PathJudgement, ...]) -> Iterable[Finding]:
    """Judge what rebuilding showed. Root causes only: what inherits is counted, not listed."""
    if case.rebuild is None:
        return
    yield from case.raise_problems(case.rebuild.problems)
    for judgement in paths:
        path = judgement.record.path
        if judgement.verdict == "unbuildable":
            yield case.finding("EV502", f"{base_name(path)}: {judgement.reason}", path)
        elif judgement.verdict == "unreproducible":
            yield _unreproducible(case, path)
    if case.rebuild.late:
        needed = case.rebuild.needed
        stuck = f"; no run gets further with less than about {needed} seconds" if needed else ""
        yield case.finding("EV507", f"{case.rebuild.late} derivations were not rebuilt: {case.rebuild.spent}{stuck}")
    if case.rebuild.strays:
        yield case.finding("EV503", f"{len(case.rebuild.strays)} stray entries, the first {case.rebuild.strays[0]}")


def _unreproducible(case: Case, path: str) -> Finding:
    name = base_name(path)
    known: Unreproducible | None = case.policy.known_unreproducible(StorePath.parse(path, case.store_dir).name)
    if known is None:
        return case.finding("EV501", f"{name} comes out otherwise when rebuilt from the signed inputs", path)
    if known.expired(case.today):
        return case.finding("EV504", f"{name}: the entry {known.pattern!r} expired on {known.expires}", path)
    finding = case.finding("EV501", f"{name} is known not to reproduce: {known.reason} ({known.owner})", path)
    return msgspec.structs.replace(finding, severity="info")
