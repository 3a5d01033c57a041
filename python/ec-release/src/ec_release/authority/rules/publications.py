"""RA2xx, and what else is said of publications: who may publish what, under which name and tags."""

from __future__ import annotations

import fnmatch
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from ec_release.authority.facts import finding
from ec_release.authority.shell import is_open

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ec_closure.release_gate import Finding
    from ec_release.authority.deeds import Deed
    from ec_release.authority.facts import Facts
    from ec_release.authority.references import Reference
    from ec_release.authority.sources import Place

_PUBLISHES = frozenset(["image", "images", "sign", "flakehub"])
_REF_NAME = re.compile(r"\$\{\{\s*github\.ref_name\s*\}\}|\$\{?GITHUB_REF_NAME\}?")


def judge(facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong with what workflows publish."""
    for deed in facts.deeds:
        rule = _RULES.get(deed.act.kind)
        if rule is not None:
            yield from rule(facts, deed)
    yield from _writers(facts)
    yield from _rights(facts)


def _at(code: str, deed: Deed, message: str) -> Finding:
    return finding(code, deed.place, message, deed.via)


def _image(facts: Facts, deed: Deed) -> Iterator[Finding]:
    """Judge one image that is pushed: what it is made of, under which name, by whom."""
    act = deed.act
    reference = facts.reference(act.target)
    surface = facts.surface_of(act.source)
    if act.source.startswith("flake:") and (surface is None or surface.role != "authoritative"):
        kind = surface.role if surface else "undeclared"
        yield _at(
            "RA201", deed, f"{act.tool} publishes {act.source.partition(':')[2]}, which is {kind}, as {act.target}"
        )
        return
    if reference.is_open:
        named = act.target or "a name that is not written there"
        yield _at("RA905", deed, f"{act.tool} publishes an image as {named}")
        return
    if reference.repository != facts.repository:
        yield _at("RA203", deed, f"{act.tool} pushes {reference.repository}, and {facts.repository} is declared")
        return
    workflow = next((one for one in facts.declared.dashboard.workflow if one.file == deed.workflow.file), None)
    if workflow is None:
        yield _at("RA103", deed, f"{act.tool} writes {facts.repository} from {deed.writer}")
    else:
        yield from _tag(deed, reference, workflow.tags)
    if not _from_authority(facts, deed):
        what = act.source or "what cannot be told"
        yield _at("RA206", deed, f"{facts.repository} is made of {what}, and {facts.authority.source} is declared")


def _from_authority(facts: Facts, deed: Deed) -> bool:
    """Tell whether an image comes from the authoritative source, or is a further name of what did."""
    if deed.act.source.startswith("image:"):
        return facts.reference(deed.act.source.removeprefix("image:")).repository == facts.repository
    return facts.surface_of(deed.act.source) == facts.authority


def _tag(deed: Deed, reference: Reference, allowed: tuple[str, ...]) -> Iterator[Finding]:
    """Hold the tag that is written to those that the workflow has for its own."""
    if not reference.tag:
        return
    for tag in _known(deed, reference.tag):
        if not any(fnmatch.fnmatchcase(tag, pattern) for pattern in allowed):
            said = ", ".join(allowed) or "none"
            yield _at("RA204", deed, f"{deed.act.tool} writes the tag {tag}; those of {deed.workflow.file} are {said}")


def _known(deed: Deed, tag: str) -> list[str]:
    """Return the tags that one text may become: the name of a tag is one that the workflow's events let through."""
    events = deed.workflow.events
    patterns = [pattern[2:] for pattern in events.get("push", ()) if pattern.startswith("t:")]
    if _REF_NAME.fullmatch(tag) and set(events) == {"push"} and len(patterns) == len(events["push"]):
        return [re.sub(r"[\[{?].*|\*.*", "*", pattern) for pattern in patterns]
    return [tag]


def _flake_images(facts: Facts, deed: Deed) -> Iterator[Finding]:
    """Judge whatever images the flake gives: those that it does not withhold."""
    for name, place in facts.flake.images().items():
        surface = facts.surface_of(f"flake:{name}")
        said, at = facts.flake.publish(surface.source if surface and surface.source else place.file)
        if said != "false":
            yield _at("RA201", deed, f"{deed.act.tool} publishes {name}, which {at} does not withhold")


def _release(facts: Facts, deed: Deed) -> Iterator[Finding]:
    allowed = {
        *(one.file for one in facts.declared.boot_images.workflow),
        *(one.file for one in facts.declared.announcement),
    }
    if deed.workflow.file not in allowed:
        yield _at("RA103", deed, f"{deed.act.tool} writes to releases of a forge from {deed.writer}")


def _metadata(facts: Facts, deed: Deed) -> Iterator[Finding]:
    boot = facts.declared.boot_images
    if deed.workflow.file not in {*(one.file for one in boot.workflow), *boot.metadata}:
        yield _at("RA103", deed, f"{deed.act.tool} signs metadata of releases from {deed.writer}")


def _flakehub(facts: Facts, deed: Deed) -> Iterator[Finding]:
    if not any(one.kind == "flakehub" and one.role == "authoritative" for one in facts.declared.surface):
        yield _at("RA205", deed, f"{deed.act.tool} publishes to FlakeHub")


def _cache(_facts: Facts, deed: Deed) -> Iterator[Finding]:
    yield _at("RA908", deed, f"{deed.act.tool} fills a cache: {deed.act.target or 'its own'}")


def _unclear(_facts: Facts, deed: Deed) -> Iterator[Finding]:
    if deed.holds_rights:
        yield _at("RA901", deed, f"it cannot be told {deed.act.why}, in a job that could publish")


def _writers(facts: Facts) -> Iterator[Finding]:
    """Find two that can write one name: later nobody can say which of them a tag came from."""
    by_name: dict[str, dict[str, list[Deed]]] = defaultdict(lambda: defaultdict(list))
    for deed in facts.deeds:
        if deed.act.kind == "image":
            reference = facts.reference(deed.act.target)
            if not reference.is_open:
                by_name[reference.repository][deed.writer].append(deed)
    declared = {one.file for one in facts.declared.dashboard.workflow}
    for name, writers in by_name.items():
        ordered = sorted(writers.items(), key=lambda item: (item[1][0].workflow.file not in declared, item[0]))
        for at, (writer, deeds) in enumerate(ordered):
            for other, others in ordered[:at]:
                files = {deeds[0].workflow.file, others[0].workflow.file}
                if len(files) > 1 and files <= declared and name == facts.repository:
                    # Their tags are disjoint, or the declaration is refused; what they write is held to it above.
                    continue
                if len(files) == 1 and _disjoint(facts, deeds, others):
                    continue
                where = others[0].place
                yield _at("RA202", deeds[0], f"{writer} writes {name}, as {other} does at {where}")
                break


def _disjoint(facts: Facts, one: list[Deed], other: list[Deed]) -> bool:
    """Tell whether two jobs of one workflow write different tags for certain."""
    tags = [{facts.reference(deed.act.target).tag for deed in deeds} for deeds in (one, other)]
    if any(is_open(tag) and not re.match(r"[A-Za-z0-9]", tag) for group in tags for tag in group):
        return False
    return not tags[0] & tags[1]


def _rights(facts: Facts) -> Iterator[Finding]:
    """Find the right to write packages in jobs that need it for nothing."""
    publishing = {(deed.workflow.file, deed.job.path) for deed in facts.deeds if deed.act.kind in _PUBLISHES}
    seen: set[Place] = set()
    for run in facts.runs:
        for job in run.jobs:
            place = job.permissions.place
            if job.permissions.packages != "write" or place is None or (run.file, job.path) in publishing:
                continue
            if place not in seen:
                seen.add(place)
                yield finding("RA208", place, f"{run.file}: {job.path} may write packages", job.via)


_RULES: dict[str, Callable[[Facts, Deed], Iterator[Finding]]] = {
    "image": _image,
    "images": _flake_images,
    "release": _release,
    "metadata": _metadata,
    "flakehub": _flakehub,
    "cache": _cache,
    "unclear": _unclear,
}
