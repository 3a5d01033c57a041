"""Findings about /etc and about what the dynamic linker preloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_closure.policy import matches
from ec_closure.report import MAX_LISTED
from ec_verify.judge.gravest import gravest
from ec_verify.observe.preload import FILES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_closure.report import Finding
    from ec_verify.judge.case import Case
    from ec_verify.observe.etc import EtcEntry

# What programs of NixOS and of its services write to /etc by themselves; docs/policy.md lists it too.
MUTABLE = (
    *("NIXOS", ".clean", ".updated", ".pwd.lock", ".rw-etc/*", "*.tmp"),
    *("passwd", "group", "shadow", "gshadow", "subuid", "subgid"),
    *("passwd-", "group-", "shadow-", "gshadow-", "subuid-", "subgid-", "*.lock"),
    *("machine-id", "machine-info", "hostid", "adjtime", "localtime", "mtab", "resolv.conf", "resolv.conf.bak"),
    *("ssh/ssh_host_*_key", "ssh/ssh_host_*_key.pub", "ssh/initrd/*", "secrets/*"),
    *("nixos/*", "nix/*.key", "nix/*.pub", "machines", "credstore/*", "credstore.encrypted/*"),
    *("NetworkManager/system-connections/*", "wpa_supplicant.conf", "wireguard/*", "ppp/*", "iwd/*"),
    *("lvm/archive/*", "lvm/backup/*", "lvm/cache/*", "zfs/zpool.cache", "multipath/*", "mdadm.conf"),
    *("cups/*", "printcap", "secureboot/*", "cni/*", "kubernetes/*", "rancher/*", "docker/key.json", "fwupd/*"),
    *("iscsi/*", "ipsec.d/*", "ipsec.secrets", "swanctl/*", "brlapi.key", "alsa/*", "samba/*"),
)
"""Entries that change as a system runs. What they hold is not judged."""

_PRELOADS = frozenset(FILES)


def judge_etc(case: Case) -> Iterable[Finding]:
    """Judge how /etc departs from the running system's."""
    host = case.observation.host
    if host is None:
        return
    allowed = (*MUTABLE, *case.policy.allowed_etc)
    entries = [one for one in host.etc.entries if not matches(one.name, allowed)]
    # What is preloaded has a finding of its own.
    others = [one for one in entries if not (one.departure == "stray" and one.name in _PRELOADS)]
    yield from gravest(_entry(case, entry) for entry in others)
    if len(others) > MAX_LISTED:
        yield case.finding("EV312", f"{len(others) - MAX_LISTED} more entries of /etc depart from the system's")


def _entry(case: Case, entry: EtcEntry) -> Finding:
    path = f"/etc/{entry.name}".rstrip("/")
    match entry.departure:
        case "stray":
            return case.finding("EV312", f"{path} is {entry.detail}: the running system has no such entry", path)
        case "static":
            return case.finding("EV311", f"{path} {entry.detail}", path)
        case "shadowed":
            return case.finding("EV311", f"{path} is {entry.detail}, where the running system has its own", path)
        case "missing":
            return case.weaker("EV311", "warn", f"{path}: {entry.detail}, the running system has one", path)
        case "mode":
            return case.weaker("EV311", "warn", f"{path} has {entry.detail}", path)
        case "altered" if entry.writable:
            # The system lets its owner write to it: a program may have.
            return case.weaker("EV311", "warn", f"{path}: {entry.detail}", path)
    return case.finding("EV311", f"{path}: {entry.detail}", path)


def judge_preloads(case: Case) -> Iterable[Finding]:
    """Judge libraries that are loaded into every program."""
    host = case.observation.host
    if host is None:
        return
    for one in host.preloads.found:
        if one.words and not one.own:
            path = one.where if one.where.startswith("/") else None
            yield case.finding("EV314", f"{one.where} loads {', '.join(one.words[:5])} into every program", path)
