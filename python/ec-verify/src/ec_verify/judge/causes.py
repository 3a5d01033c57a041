"""Findings by their cause: three causes, not four hundred lines.

Findings of one code and weight are one cause: four hundred time stamps are one `touch`. A finding that another one at
the same path explains is listed under that: a path that is missing has no mode, and an altered one no content address.
What explains is never lighter than what it explains, so that nothing grave hides under something that is accepted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ec_closure.findings import KINDS
from ec_closure.report import Cause
from ec_verify.text import clip

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_closure.manifest import Manifest
    from ec_closure.report import Finding
    from ec_verify.judge.case import Case, PathJudgement

WEIGHT = {"fail": 0, "warn": 1, "info": 2}

_METADATA = ("EV203", "EV204", "EV205")
_ROW = ("EV211", "EV212")
AT_ONE_PATH: dict[str, frozenset[str]] = {
    # A mount: everything below it is another file system's.
    "EV303": frozenset({"EV201", "EV202", *_METADATA, "EV206", "EV207", "EV210", *_ROW, "EV213", "EV401", "EV402"}),
    # Somebody wrote over the image: what is seen is the upper layer.
    "EV318": frozenset({"EV201", "EV202", *_METADATA, "EV210", *_ROW, "EV218", "EV219", "EV401", "EV402"}),
    # Altered or missing bytes. Set-ID bits and capabilities are a back door of their own.
    "EV202": frozenset({*_ROW, "EV315", "EV302", "EV304", "EV305", "EV306", "EV401", "EV402"}),
    "EV201": frozenset({*_METADATA, "EV210", *_ROW, "EV218", "EV315", "EV219", "EV401", "EV402"}),
    # A registered stranger.
    "EV208": frozenset({*_METADATA, "EV210", *_ROW, "EV315"}),
    # Another system: what was booted, is named by the kernel's command line, or is next.
    "EV306": frozenset({"EV302", "EV304", "EV305"}),
    "EV302": frozenset({"EV304", "EV305"}),
}
"""Which codes explain which others about the same store path: the more fundamental ones first."""

ANYWHERE: dict[str, frozenset[str]] = {
    "EV401": frozenset({"EV403", "EV404", "EV405"}),
    "EV402": frozenset({"EV403", "EV404", "EV405"}),
}
"""Which codes explain which others wherever they are: an altered source is not evaluated, or to something else."""

_ALTERED = frozenset({"EV201", "EV202", "EV210", "EV303"})
_DIFFERENCES = frozenset({"EV501", "EV504"})
# Each build that does not reproduce has its own reason, as long as somebody can look at each.
_MAX_APART = 20
_MAX_PATHS = 10
_MAX_MESSAGE = 900


@dataclass
class Group:
    """Findings of one cause: its *own*, and those that *follow*."""

    own: list[Finding]
    follow: list[Finding] = field(default_factory=list)


def group(case: Case, findings: Iterable[Finding]) -> list[Group]:
    """Return *findings* by cause, the gravest first. Every finding is in one group, once."""
    known = sorted(findings, key=lambda one: (WEIGHT[one.severity], one.code, one.path or "", one.message))
    by_place: dict[str, dict[str, Finding]] = defaultdict(dict)
    first: dict[str, Finding] = {}
    for one in known:
        by_place[_place(case, one)].setdefault(one.code, one)
        first.setdefault(one.code, one)
    keys = _keys(case, known)
    groups: dict[tuple[str, ...], Group] = {}
    followers = []
    for at, one in enumerate(known):
        leader = _leader(one, by_place[_place(case, one)] if one.path else {}, first)
        if leader is None:
            groups.setdefault(keys[at], Group([])).own.append(one)
        else:
            followers.append((one, leader))
    positions = {(one.severity, one.code, one.path): keys[at] for at, one in enumerate(known)}
    for one, leader in followers:
        top = leader
        # Who explains may be explained: an altered source is an altered path.
        while (above := _leader(top, by_place[_place(case, top)] if top.path else {}, first)) is not None:
            top = above
        groups[positions[top.severity, top.code, top.path]].follow.append(one)
    return list(groups.values())


def ordered(groups: Iterable[Group]) -> tuple[Finding, ...]:
    """Return all findings of *groups*: the gravest first, among those of one weight what explains others."""
    groups = list(groups)
    found = [one for each in groups for one in each.own] + [one for each in groups for one in each.follow]
    return tuple(sorted(found, key=lambda one: WEIGHT[one.severity]))


def causes(case: Case, paths: tuple[PathJudgement, ...], groups: Iterable[Group]) -> tuple[Cause, ...]:
    """Return what is published of each group, with what it reaches in the running system."""
    return tuple(_cause(case, paths, each) for each in groups)


def _cause(case: Case, paths: tuple[PathJudgement, ...], group: Group) -> Cause:
    first = group.own[0]
    named = list(dict.fromkeys(one.path for one in group.own if one.path is not None))
    if first.code == "EV208" and named:
        named = _wanted_first(case, named)
        first = next((one for one in group.own if one.path == named[0]), first)
    affected = 0
    if first.code in _ALTERED and case.manifest is not None:
        places = {_place(case, one) for one in group.own}
        affected = len(_dependents(case.manifest, places) - places)
    elif first.code in _DIFFERENCES:
        affected = _inheriting(case, paths, set(named))
    message = first.message
    link = _links(case, group.own).get(_place(case, first)) if first.code == "EV201" else None
    if link is not None and len(group.own) > 1:
        message = f"{clip(message, _MAX_MESSAGE)}: these paths share an altered file, .links/{link}"
    return Cause(
        code=first.code,
        severity=first.severity,
        title=KINDS[first.code].title,
        message=message,
        hint=first.hint,
        count=len(group.own),
        paths=tuple(named[:_MAX_PATHS]),
        follows=dict(sorted(Counter(one.code for one in group.follow).items())),
        affected=affected,
    )


def _place(case: Case, finding: Finding) -> str:
    """Return the store path that a finding is about, any other path as it is, the empty text for none."""
    path, prefix = finding.path or "", f"{case.store_dir}/"
    return prefix + path[len(prefix) :].partition("/")[0] if path.startswith(prefix) else path


def _leader(one: Finding, here: dict[str, Finding], first: dict[str, Finding]) -> Finding | None:
    """Return the finding that explains *one*, None when it explains itself. *first* are the gravest of their codes."""
    for table, found in ((AT_ONE_PATH, here), (ANYWHERE, first)):
        for code, explained in table.items():
            leader = found.get(code)
            if leader is not None and one.code in explained and WEIGHT[leader.severity] <= WEIGHT[one.severity]:
                return leader
    return None


def _keys(case: Case, findings: list[Finding]) -> list[tuple[str, ...]]:
    """Return what findings of one cause have in common, for each of *findings*."""
    derivers = {} if case.manifest is None else {one.path: one.deriver or one.path for one in case.manifest.paths}
    differing: dict[str, set[str]] = defaultdict(set)
    for one in findings:
        if one.code in _DIFFERENCES and one.path in derivers:
            differing[one.severity].add(derivers[one.path])
    keys: list[tuple[str, ...]] = []
    links = _links(case, findings)
    for one in findings:
        if one.code == "EV201" and (link := links.get(_place(case, one))) is not None:
            keys.append((one.code, one.severity, link))
            continue
        apart = one.code in _DIFFERENCES and len(differing[one.severity]) <= _MAX_APART
        keys.append((one.code, one.severity, derivers.get(one.path or "", "") if apart else ""))
    return keys


def _links(case: Case, findings: list[Finding]) -> dict[str, str]:
    """Return the altered file that each altered path shares with others: the one that most of them share."""
    shared = case.observation.shared
    altered = {_place(case, one) for one in findings if one.code == "EV201"} & shared.keys()
    counts = Counter(name for path in altered for name in shared[path])
    chosen = {path: max(shared[path], key=lambda name: (counts[name], name)) for path in altered if shared[path]}
    return chosen if len(set(chosen.values())) <= _MAX_APART else {}


def _wanted_first(case: Case, paths: list[str]) -> list[str]:
    """Return registered strangers, those that no other needs first: what somebody asked for, then what it brought."""
    rows = case.observation.rows
    needed = {other for path in paths if path in rows for other in rows[path].references if other != path}
    return sorted(paths, key=lambda path: path in needed)


def _dependents(manifest: Manifest, paths: set[str]) -> set[str]:
    """Return the paths of *manifest* that need one of *paths*, directly or not, with those themselves."""
    index = manifest.index()
    needed_by: list[list[int]] = [[] for _ in manifest.paths]
    for position, record in enumerate(manifest.paths):
        for reference in record.references:
            if reference < len(needed_by):
                needed_by[reference].append(position)
    todo = [index[path] for path in paths if path in index]
    seen = set(todo)
    while todo:
        for position in needed_by[todo.pop()]:
            if position not in seen:
                seen.add(position)
                todo.append(position)
    return {manifest.paths[position].path for position in seen}


def _inheriting(case: Case, paths: tuple[PathJudgement, ...], causes: set[str]) -> int:
    if case.rebuild is None:
        return 0
    outputs = case.rebuild.outputs
    inherited = (one.record.path for one in paths if one.verdict == "inherited")
    return sum(path in outputs and not causes.isdisjoint(outputs[path].tainted_by) for path in inherited)
