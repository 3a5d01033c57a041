"""Findings about mounts on the store directory, and about upper layers (EV317 to EV319)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_closure.policy import matches
from ec_verify.location import base_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_closure.report import Finding
    from ec_verify.judge.case import Case
    from ec_verify.observe.mounts import Mount
    from ec_verify.observe.upper import UpperEntry

# What belongs to the system alone: nothing there is written to while it runs, but for links into the store.
_SYSTEM = ("/nix/", "/etc/systemd/", "/etc/static", "/bin/", "/sbin/", "/usr/", "/lib", "/boot/")
# What NixOS, systemd and their tools write to /etc while a machine runs, as shell patterns.
_ETC = (
    *("/etc/.clean", "/etc/.pwd.lock", "/etc/.updated", "/etc/NIXOS", "/etc/machine-id", "/etc/hostname"),
    *("/etc/passwd*", "/etc/group*", "/etc/shadow*", "/etc/gshadow*", "/etc/subuid*", "/etc/subgid*"),
    *("/etc/adjtime", "/etc/localtime", "/etc/zoneinfo", "/etc/mtab", "/etc/resolv.conf*", "/etc/resolvconf*"),
    *("/etc/ssh/ssh_host_*", "/etc/NetworkManager/system-connections/*", "/etc/nixos/*", "/etc/wpa_supplicant.conf"),
)
_LISTED = 20
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
    if case.manifest is None or not layers.upper:
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


def judge_written(case: Case) -> Iterable[Finding]:
    """Judge what was written to an overlay root since boot, outside the places that exist to be written to."""
    written = case.observation.written
    if not (written.entries or written.more):
        return
    trusted = {record.path for manifest in (case.manifest, *case.trust.others) if manifest for record in manifest.paths}
    found: dict[str, list[UpperEntry]] = {"EV318": [], "EV319": []}
    for entry in written.entries:
        if matches(entry.path, case.policy.allowed_upper) or _belongs(case, entry, trusted):
            continue
        found["EV318" if entry.path.startswith(_SYSTEM) else "EV319"].append(entry)
    for code, entries in found.items():
        for entry in entries[:_LISTED]:
            did = _MARKS[entry.mark].replace("it", "what lay there", 1) if entry.mark == "whiteout" else "holds"
            yield case.finding(code, f"the upper layer of the root {did}: {entry.path}", entry.path)
        if rest := entries[_LISTED:]:
            said = f"the upper layer of the root has {len(rest)} more entries of that kind, the first {rest[0].path}"
            yield case.finding(code, said, rest[0].path)
    if written.more:
        yield case.finding("EV319", f"the upper layer of the root has {written.more} more entries, not looked at")


def _belongs(case: Case, entry: UpperEntry, trusted: set[str]) -> bool:
    """Tell whether NixOS itself may have put *entry* there.

    A link into /etc/static or into a trusted store path brings nothing new: where such links should lead is judged with
    the rest of /etc. Without a manifest, links into the store are believed.
    """
    if entry.mark is not None:
        return False
    if entry.kind == "symlink":
        if entry.target == f"/etc/static{entry.path.removeprefix('/etc')}" and entry.path.startswith("/etc/"):
            return True
        inside = entry.target.removeprefix(f"{case.store_dir}/")
        if inside != entry.target:
            path = f"{case.store_dir}/{inside.partition('/')[0]}"
            # A name with `..` in it may lead anywhere.
            return ".." not in inside.split("/") and (path in trusted or case.manifest is None)
    if entry.copy_of:
        return entry.copy_of in trusted or case.manifest is None
    return matches(entry.path, _ETC)
