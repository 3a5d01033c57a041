"""Findings about mounts on the store directory, and about upper layers (EV317, EV318)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_verify.location import base_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_closure.report import Finding
    from ec_verify.judge.case import Case
    from ec_verify.observe.mounts import Mount
    from ec_verify.observe.upper import UpperEntry

_MARKS = {
    "whiteout": "deletes it",
    "opaque": "hides the directory below",
    "redirect": "shows another directory in its place",
    "metacopy": "changes its metadata",
}


def judge_store_layers(case: Case) -> Iterable[Finding]:
    """Judge what lies on the store directory, and what its upper layer holds of the running system."""
    layers = case.observation.layers
    expected = _expected(case)
    for position, mount in enumerate(layers.mounts):
        if position == 0 and (_is(mount, expected)):
            continue
        said = f"it should be {expected}" if expected else "nothing should be"
        more = "" if position == 0 else "another mount, "
        yield case.finding(
            "EV317", f"{more}{mount.kind} ({mount.source}) is mounted on the store directory, where {said}", mount.point
        )
    if case.manifest is None:
        return
    signed = {record.path: record for record in case.manifest.paths}
    for entry in layers.upper:
        record = signed.get(entry.path)
        # What no lower layer has came later, like any path that was copied or built here.
        if record is None or (entry.mark is None and entry.below is False):
            continue
        yield _covered(case, entry, record.nar_hash)


def _expected(case: Case) -> str | None:
    """Return the kind of mount that belongs on the store directory: `mount` is any file system of its own."""
    match case.store_layers:
        case "auto":
            return case.observation.layers.declared
        case "plain":
            return None
    return case.store_layers


def _is(mount: Mount, expected: str | None) -> bool:
    if expected is None:
        return False
    if "overlay" in (mount.kind, expected):
        return mount.kind == expected
    # A directory that is bound there has the kind of its file system, and `auto` is found out by the kernel.
    return expected in (mount.kind, "mount", "none", "auto", "bind")


def _covered(case: Case, entry: UpperEntry, signed: str) -> Finding:
    name = base_name(entry.path)
    merged = case.observation.paths.get(entry.path)
    lower = case.observation.layers.below.get(entry.path)
    if entry.mark is not None:
        return case.finding("EV318", f"the upper layer of the store {_MARKS[entry.mark]}: {name}", entry.path)
    if lower is not None and lower.nar_hash != signed:
        said = f"the lower layer has other bytes than CI signed below a copy of {name}"
        return case.finding("EV318", said, entry.path)
    if merged is not None and merged.nar_hash == signed:
        # `nix-store --optimise` copies files up to link them.
        return case.finding(
            "EV318", f"{name} was copied to the upper layer of the store, unaltered", entry.path, weight="warn"
        )
    return case.finding("EV318", f"{name} was altered in the upper layer of the store", entry.path)
