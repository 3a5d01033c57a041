"""RA3xx: what is published on the authoritative path is scanned, signed and verified, by the digest that was pushed."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ec_release.authority.facts import finding
from ec_release.authority.shell import is_open

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ec_closure.release_gate import Finding
    from ec_release.authority.deeds import Deed
    from ec_release.authority.facts import Facts

_HARMLESS = frozenset(["always()", "success()", "!cancelled()"])


def pushes(facts: Facts) -> list[Deed]:
    """Return the deeds that bring new bytes to the dashboard's repository from declared workflows."""
    declared = {one.file for one in facts.declared.dashboard.workflow}
    return [
        deed
        for deed in facts.deeds
        if deed.act.kind == "image"
        and deed.workflow.file in declared
        and facts.reference(deed.act.target).repository == facts.repository
        and not _renames(facts, deed)
    ]


def judge(facts: Facts) -> Iterator[Finding]:
    """Yield what is missing after each push."""
    seen: set[tuple[str, str]] = set()
    for push in pushes(facts):
        for code, at, message in missing(facts, push):
            # One push under three tags lacks one scan.
            if (code, f"{push.place} {push.workflow.file}") not in seen:
                seen.add((code, f"{push.place} {push.workflow.file}"))
                yield finding(code, at.place, message, at.via)


def missing(facts: Facts, push: Deed) -> Iterator[tuple[str, Deed, str]]:
    """Yield what *push* lacks of what is required: the code, the deed it is said of, and the message."""
    required = facts.declared.dashboard.requires
    after = [
        deed
        for deed in facts.deeds
        if deed.workflow.file == push.workflow.file
        and deed.order > push.order
        # Of one job, only the run with this combination of its matrix.
        and (deed.job is push.job or deed.job.path != push.job.path)
        and deed.act.kind in ("scan", "sign", "verify")
        and _about(facts, deed)
    ]
    if "scan" in required:
        yield from _scan(facts, push, [deed for deed in after if deed.act.kind == "scan"])
    if "signature" in required:
        signatures = [deed for deed in after if deed.act.kind == "sign" and deed.act.tool != "cosign attest"]
        if not signatures:
            yield "RA303", push, f"nothing signs what {push.act.tool} pushes"
        elif not any(_covers(facts, group, push) for group in _by_step(signatures)):
            yield "RA304", signatures[0], f"signs {signatures[0].act.target}, which is not the digest that was pushed"
        elif all(_passed_over(deed, push) for deed in signatures if _fits(facts, deed, push)):
            yield "RA303", signatures[0], "the job goes on without the signature"
    if "verification" in required:
        checks = [deed for deed in after if deed.act.kind == "verify"]
        if not any(_covers(facts, group, push) and not _passed_over(group[0], push) for group in _by_step(checks)):
            at = checks[0] if checks else push
            yield "RA305", at, f"no signature of what {push.act.tool} pushes is verified by its digest"


def _scan(facts: Facts, push: Deed, scans: list[Deed]) -> Iterator[tuple[str, Deed, str]]:
    covering = [group for group in _by_step(scans) if _covers(facts, group, push)]
    if not covering:
        at = scans[0] if scans else push
        what = (
            f"scans {at.act.target}, not the digest that was pushed"
            if scans
            else f"nothing scans what {push.act.tool} pushes"
        )
        yield "RA301", at, what
    elif not any(all(deed.act.fails for deed in group) and not _passed_over(group[0], push) for group in covering):
        yield "RA302", covering[0][0], f"{covering[0][0].act.tool} finds something, and the job goes on"


def _renames(facts: Facts, deed: Deed) -> bool:
    """Tell whether a deed gives a further name to what the same workflow pushed before, by its digest.

    Bytes of which that cannot be told count as new ones.
    """
    source = facts.reference(deed.act.source.removeprefix("image:"))
    if not deed.act.source.startswith("image:") or source.repository != facts.repository:
        return False
    before = [
        one
        for one in facts.deeds
        if one.act.kind == "image" and one.workflow.file == deed.workflow.file and one.order < deed.order
    ]
    return any(f"steps[{one.step.token}].outputs.digest" in source.digest for one in before)


def _about(facts: Facts, deed: Deed) -> bool:
    reference = facts.reference(deed.act.target)
    return reference.repository == facts.repository or is_open(reference.repository)


def _by_step(deeds: Iterable[Deed]) -> list[list[Deed]]:
    """Return the deeds in groups that one step does: alternatives of each other."""
    groups: dict[tuple[str, int], list[Deed]] = defaultdict(list)
    for deed in deeds:
        groups[(str(deed.place), id(deed.job))].append(deed)
    return list(groups.values())


def _covers(facts: Facts, group: list[Deed], push: Deed) -> bool:
    return all(_fits(facts, deed, push) for deed in group)


def _fits(facts: Facts, deed: Deed, push: Deed) -> bool:
    """Tell whether a deed is about the digest that *push* gave out."""
    reference = facts.reference(deed.act.target)
    if reference.repository != facts.repository or not reference.by_digest:
        return False
    # A command gives its digest out in ways of its own; an action by its output, which is followed.
    return f"steps[{push.step.token}].outputs.digest" in reference.digest if push.step.uses else True


def _passed_over(deed: Deed, push: Deed) -> bool:
    """Tell whether the job goes on without a deed: its failure is ignored, or it happens less often than the push."""
    conditions = {deed.job.when, deed.step.when} - {"", push.job.when, push.step.when} - _HARMLESS
    return deed.neutered or bool(conditions)
