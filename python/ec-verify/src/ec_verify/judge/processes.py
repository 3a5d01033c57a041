"""Findings about what processes execute, and what they see of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_closure.policy import matches
from ec_closure.report import MAX_LISTED
from ec_verify.judge.gravest import gravest
from ec_verify.location import base_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_closure.report import Finding
    from ec_verify.judge.case import Case
    from ec_verify.observe.processes import Image

# Wrappers with privileges, which NixOS copies out of the store and which become another program at once; and code that
# a library of GStreamer writes and maps.
_EXPECTED = ("/run/wrappers/*", "*/orcexec.*")


def judge_processes(case: Case) -> Iterable[Finding]:
    """Judge every file that is executed, and mounts over store paths that single processes see."""
    host = case.observation.host
    if host is None:
        return
    manifests = [one for one in (case.manifest, *case.trust.others) if one is not None]
    listed = frozenset(record.path for one in manifests for record in (*one.paths, *one.contents))
    findings = [finding for image in host.processes.images for finding in _image(case, image, listed)]
    yield from gravest(findings)
    for process, name, mount in host.processes.mounts[:MAX_LISTED]:
        message = f"process {process} ({name}) sees {mount.kind} ({mount.source}) mounted over {mount.point}"
        yield case.finding("EV303", message, mount.point)


def _image(case: Case, image: Image, listed: frozenset[str]) -> Iterable[Finding]:
    more = f" and {image.processes - 1} others" if image.processes > 1 else ""
    does = "runs" if image.program else "maps"
    who = f"process {image.process} ({image.name}){more} {does}"
    match image.state:
        case "same":
            if (why := _unvouched(case, image.store_path, listed)) is not None:
                yield case.finding("EV315", f"{who} {image.path}, {why}", image.path)
        case "differs":
            why = "which was deleted or replaced" if image.deleted else "which is not what the store holds there"
            yield case.finding("EV315", f"{who} {image.path}, {why}", image.path)
        case _:
            if matches(image.path, (*_EXPECTED, *case.policy.allowed_processes)):
                return
            where = "which lies in memory only" if image.state == "memory" else "which is not the store's"
            gone = " and was deleted" if image.deleted and image.state != "memory" else ""
            message = f"{who} {image.path}, {where}{gone}"
            # Users may run what they have made; what runs as root is the system's.
            yield (
                case.finding("EV315", message, image.path)
                if image.root
                else case.weaker("EV315", "warn", message, image.path)
            )


def _unvouched(case: Case, store_path: str | None, listed: frozenset[str]) -> str | None:
    """Say why nobody vouches for a store path; None when somebody does, or when nothing is known."""
    observation = case.observation
    if store_path is None or not observation.rows:
        return None
    if store_path not in observation.rows:
        return None if store_path in listed else "which nobody registered"
    if store_path in listed or case.manifest is None or matches(base_name(store_path), case.policy.allowed_unlisted):
        return None
    return "which no trusted manifest lists"
