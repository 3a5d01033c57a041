"""Findings: what is wrong, in stable codes that people, policies and dashboards refer to.

EV1xx trust · EV2xx bytes · EV3xx running state · EV4xx source · EV5xx rebuild. A code keeps its
meaning for ever; a new meaning takes a new number. The catalogue holds what is the same for every
occurrence: the title, the severity unless policy says otherwise, and what to do.

`python -m ec_closure.findings docs/findings.md` writes the catalogue for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ec_closure import catalogue

Severity = Literal["fail", "warn", "info"]


@dataclass(frozen=True)
class Kind:
    """One kind of finding. *severity* is the default; `policy.toml` may set another."""

    code: str
    title: str
    severity: Severity
    hint: str


_KINDS = (
    # Trust
    Kind("EV101", "metadata refused", "fail", "Somebody offers metadata that the pinned root does not vouch for. Compare with the release server seen from elsewhere."),
    Kind("EV102", "metadata expired", "warn", "CI has not refreshed the timestamp, or the node is held back. Check the clock and the release server."),
    Kind("EV103", "metadata rolled back", "fail", "The server offers older metadata than this node has seen. Ask who restored an old state."),
    Kind("EV104", "release server unreachable", "warn", "Check the network, the proxy and `trust.metadata_base`."),
    Kind("EV105", "release server refuses", "warn", "The first request was answered 401, 403 or 404. Check the token file and the address."),
    Kind("EV106", "no manifest for this system", "warn", "The running toplevel was never published, or was published for another trust root."),
    Kind("EV107", "manifest does not match its metadata", "fail", "Signed metadata and the downloaded asset differ. The asset was replaced after publication."),
    Kind("EV108", "manifest is malformed", "fail", "A signed manifest that does not decode: publisher and verifier disagree on the format. Update both."),
    Kind("EV109", "release withdrawn", "fail", "The publisher withdrew the running release. Upgrade."),
    Kind("EV110", "release below the minimum", "fail", "The publisher set a higher minimum version. Upgrade."),
    Kind("EV111", "release lags behind", "fail", "Newer releases are published. Upgrade, or raise `freshness.max_lag`."),
    Kind("EV112", "metadata too old", "fail", "The last verified metadata are older than policy allows. Bring the node online."),
    Kind("EV113", "no trust root", "warn", "This image pins no root. Nothing can be proven until `trust.root` names one."),
    Kind("EV114", "remembered trust state unusable", "warn", "Files in the state directory's `trust` were damaged or removed: rollback protection starts anew once they are deleted."),
    Kind("EV115", "clock behind signed time", "fail", "The clock is earlier than metadata that this node has verified: expiry cannot be judged. Set the clock."),
    Kind("EV116", "system not allowed by policy", "fail", "CI signed it, but not for this node. Switch to a system that `systems` in policy names, or add this one."),
    Kind("EV117", "a specialisation runs", "info", "It is part of the signed system. `allow_specialisations = false` in policy forbids it."),
    Kind("EV118", "what was fetched for this node cannot be used", "warn", "What lies in `courier` of the state directory is not what `ec-verify fetch` writes, or was altered. Nothing of it was believed. Find out who writes there, and fetch again."),
    Kind("EV119", "the node's own data cannot be used", "warn", "`ec-provision apply` writes them at boot: see its log, or correct `node_file` in verify.toml. Until then the node goes by its host name, and reports stay here if verify.toml names no dashboard."),
    # Bytes
    Kind("EV201", "bytes differ from what CI signed", "fail", "Take the node out of service; `ec-verify explain PATH` shows the difference."),
    Kind("EV202", "store path missing", "fail", "The closure is not whole. `nix-store --repair-path` from a trusted cache restores it."),
    Kind("EV203", "mode differs from the canonical one", "fail", "Nix makes files 0444 or 0555 and directories 0555. Somebody changed it."),
    Kind("EV204", "owner differs from the store's", "fail", "Somebody who is root changed the owner. Restore it and find out who."),
    Kind("EV205", "time stamp differs from the canonical one", "warn", "Nix sets every time stamp to 1, makers of images (squashfs, ISO) to 0. Something wrote here afterwards."),
    Kind("EV206", "set-user-ID or set-group-ID bit", "fail", "No store path has these bits. Assume a back door."),
    Kind("EV207", "extended attribute, capability or ACL", "fail", "No store path carries these. Assume a back door."),
    Kind("EV208", "registered, but in no trusted manifest", "fail", "Find out who added it: `ec-verify explain PATH`. Allow it by `allowed_unlisted` in policy if it belongs there."),
    Kind("EV209", "in the store directory, but unknown to the database", "fail", "Nobody registered it. Move it away and look at it."),
    Kind("EV210", "content address does not match the bytes", "fail", "The bytes are not those that the path's own name promises."),
    Kind("EV211", "database disagrees with the disk", "fail", "The database row was not written by Nix for these bytes."),
    Kind("EV212", "database disagrees with the manifest", "fail", "A row or a reference was edited. Garbage collection may delete what is in use."),
    Kind("EV213", "path cannot be read", "warn", "A disk error or missing rights: see the kernel's log."),
    Kind("EV214", "unknown entry in the closure's way", "info", "An operation of Nix is under way, or left this behind."),
    Kind("EV215", "database holds what Nix never writes", "fail", "A trigger, a view, a dangling reference or a damaged index: rows change or hide by themselves. Restore the database from a trusted dump."),
    Kind("EV216", "forged or malformed signature in the database", "fail", "A row claims the signature of a key in `cache_keys` that never signed it. Find out who wrote the row."),
    Kind("EV217", "database tells another origin than CI", "warn", "Where a path comes from is not signed: Nix may take it for built here, or not ask for signatures. Its bytes are judged by themselves."),
    Kind("EV218", "recorded reference is not in the bytes", "fail", "Nix records what it finds in the bytes. The manifest, or the path, is not what a build made."),
    Kind("EV219", "reference in the bytes is not recorded", "warn", "The path names another that it is not recorded to need: garbage collection may delete it, and no closure holds it."),
    # Running state
    Kind("EV301", "running system is not the one examined", "fail", "`/run/current-system` points elsewhere than the profile's generation."),
    Kind("EV302", "profile points elsewhere", "fail", "The system profile does not name the running system: the next boot runs something else."),
    Kind("EV303", "a mount covers a store path", "fail", "What processes read is not what lies in the store. Look at /proc/self/mountinfo."),
    Kind("EV304", "booted system differs from the current one", "warn", "An upgrade waits for a reboot, or somebody switched by hand."),
    Kind("EV305", "kernel command line names another system", "fail", "The boot loader started another generation than the profile names."),
    Kind("EV306", "booted system in no trusted manifest", "fail", "What was booted was never published, or was published for another trust root. Reboot into a published system."),
    Kind("EV307", "boot file differs from its system", "fail", "The boot loader would start other bytes than the entry's system holds. Install the boot loader anew from a trusted system, and find out who wrote there."),
    Kind("EV308", "boot entry starts something else", "fail", "Compare the entry with the system that it names: `kernel-params` and `init`. Remove the entry, or install the boot loader anew."),
    Kind("EV309", "unknown file where firmware boots", "warn", "No known system holds it. `bootctl update` keeps a loader of equal version: install it anew to be sure, or allow it by `allowed_boot` in policy."),
    Kind("EV310", "kernel command line has other words", "fail", "Somebody edited the entry, or typed at the boot menu. Reboot, or allow the word by `allowed_parameters` in policy."),
    Kind("EV311", "/etc is not the running system's", "fail", "Switch to the system again: `/run/current-system/bin/switch-to-configuration switch` makes /etc anew."),
    Kind("EV312", "entry of /etc that no system put there", "warn", "Find out who made it. Allow it by `allowed_etc` in policy if it belongs there."),
    Kind("EV313", "unit or drop-in from outside the store", "fail", "`systemctl cat` shows it. Remove it, or allow it by `allowed_units` in policy."),
    Kind("EV314", "library preloaded into every program", "fail", "The running system does not preload it. Assume a back door."),
    Kind("EV315", "process executes what nobody vouches for", "fail", "Restart the service, or reboot, once the file is explained; allow it by `allowed_processes` in policy."),
    Kind("EV316", "kernel runs code of another system", "fail", "Reboot into a published system. Allow a module by `allowed_modules` in policy."),
    Kind("EV317", "a mount covers the store directory", "fail", "Something was mounted on the whole store. If it belongs there, the system's fstab or `store.layers` in verify.toml says so; else look at /proc/self/mountinfo."),
    Kind("EV318", "an upper layer covers what CI signed", "fail", "Somebody wrote over a signed file of the image since it was mounted. Reboot, and find out who."),
    Kind("EV319", "unexpected file in the upper layer of the root", "warn", "It was written since boot, outside the usual places. Allow it by `allowed_upper` in policy if it belongs there."),
    Kind("EV320", "rule from outside the store", "fail", "udev, kmod, polkit, D-Bus or a helper of systemd acts upon it. Remove it, or allow it by `allowed_units` in policy."),
    # Source
    Kind("EV401", "embedded source differs from what CI signed", "fail", "The flake on this node is not the one that CI built."),
    Kind("EV402", "locked input differs from its lock", "fail", "A source tree in the store was altered. An evaluation would have used it."),
    Kind("EV403", "the source evaluates to another derivation", "fail", "Same source, other derivation: compare both with `ec-verify explain`."),
    Kind("EV404", "the source evaluates to another system", "fail", "The embedded flake does not describe what runs."),
    Kind("EV405", "evaluation failed", "warn", "See the log below; a missing locked input is the usual reason."),
    Kind("EV406", "evaluation needs to build", "warn", "Import from derivation is refused: its result is not covered by the lock file."),
    Kind("EV407", "evaluation needs the network", "warn", "Lock every input by its hash, give every fetcher a hash, and ship what they fetch with the image."),
    Kind("EV408", "evaluation exceeds its limits", "warn", "Raise `source.timeout` or `source.memory`, or find out what in the flake never ends."),
    Kind("EV409", "outputs are named by their content", "warn", "Such outputs cannot be compared before they are built: build the system without `__contentAddressed`."),
    # Rebuild
    Kind("EV501", "rebuilt bytes differ from what CI signed", "fail", "Same inputs, other bytes: a build that does not reproduce (list it in policy with a reason, or mend it), or a build machine that lies."),
    Kind("EV502", "a derivation does not build", "warn", "See the builder's log."),
    Kind("EV503", "a builder left unexpected paths", "warn", "Look at the derivation: it wrote where no output of its own lies."),
    Kind("EV504", "an entry of the register of unreproducible paths has expired", "fail", "Renew the entry with a reason, or mend the build."),
    Kind("EV505", "the store changed during the run", "warn", "Something wrote to the store while it was examined. Run again."),
    Kind("EV506", "the ghost store is not private", "warn", "A canary left the ghost store; nothing was built. Tell us."),
    Kind("EV507", "the budget for rebuilding was spent", "info", "The next run goes on with what was never rebuilt. Raise what was spent (`budget`, `rebuild.scratch` in verify.toml) if it never comes to an end."),
    # The verifier itself
    Kind("EV901", "self-test failed", "warn", "The verifier did not see a tamper that it planted itself. Do not trust its other words."),
    Kind("EV902", "what the verifier remembered was refused", "warn", "The file `memory` of the state directory was altered, or an older one was put back. It was not used: everything was read. Find out who writes there."),
    Kind("EV903", "the clock was set back", "info", "Change times prove nothing then: what was remembered was not used, and everything was read."),
    Kind("EV904", "bytes changed though nothing was written", "fail", "The disk is failing, or somebody wrote below the file system or under a false clock. See the kernel's log."),
    Kind("EV910", "an acceptance in policy has expired", "fail", "Look at what it covers; then renew the entry with a reason, or remove it."),
    Kind("EV911", "an entry of policy expires soon", "info", "After its day every run fails: mend what it covers, or renew it with a reason."),
    Kind("EV912", "an entry of policy covers nothing", "info", "What it excused is gone, or was never here: remove it, so that it excuses nothing later."),
)  # fmt: skip

KINDS: dict[str, Kind] = {kind.code: kind for kind in _KINDS}

AREAS = {
    "EV1": "Trust",
    "EV2": "Bytes",
    "EV3": "Running state",
    "EV4": "Source",
    "EV5": "Rebuild",
    "EV9": "The verifier itself",
}
"""What the first digit of a code says."""

_HEAD = """\
<!-- Written by `python -m ec_closure.findings docs/findings.md`; change the catalogue, not this file. -->
# Findings

What `ec-verify` can find wrong. A code keeps its meaning for ever; a new meaning takes a new number. The severity is
the default, and `[severity]` in `policy.toml` may set another one: `fail` makes the run fail, `warn` and `info` are
reported only.
"""


def render() -> str:
    """Return the catalogue as Markdown, grouped by area."""
    return catalogue.render(_HEAD, _KINDS, AREAS, severity="Default severity")


if __name__ == "__main__":
    import sys

    Path(sys.argv[1]).write_text(render(), encoding="utf-8")
