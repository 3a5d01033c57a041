"""`ec-netboot status`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from ec_closure.decoding import excerpt
from ec_closure.errors import EcError
from ec_closure.record import Record
from ec_netboot import staged
from ec_netboot.commands.options import DEFAULTS, Common, state_of
from ec_netboot.release import Generation, Platform, Release, Standing

if TYPE_CHECKING:
    from ec_netboot.state import State


class PlatformStatus(Record, frozen=True, kw_only=True):
    """What is served to one platform. *problem* says why it is not served, though it may be staged."""

    platform: Platform
    state: Literal["serving", "not serving", "empty"]
    problem: str | None = None
    generation: Generation | None = None
    release: Release | None = None
    previous: Release | None = None


class Status(Record, frozen=True, kw_only=True, tag_field="schema", tag="ec-netboot.status.v1"):
    """What `ec-netboot status --json` prints."""

    platforms: tuple[PlatformStatus, ...]
    standing: Standing | None = None


def status(*, common: Common = DEFAULTS) -> int:
    """Print what is served, after hashing it. Exits with 3 when something that should be served is not."""
    config = common.load()
    state = state_of(config)
    standing = state.standing()
    found = Status(
        platforms=tuple(_status(state, platform, standing) for platform in config.platforms), standing=standing
    )
    if common.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
    else:
        sys.stdout.writelines(line + "\n" for line in _lines(found))
    return 0 if all(one.state == "serving" for one in found.platforms) else 3


def _status(state: State, platform: Platform, standing: Standing | None) -> PlatformStatus:
    try:
        generation = state.current(platform)
        if generation is None:
            return PlatformStatus(platform=platform, state="empty", problem="nothing was staged")
        release = state.release(generation.release)
        previous = state.release(generation.previous) if generation.previous else None
        problem = standing.excludes(release.version) if standing else None
        if problem is None:
            staged.load(state, generation.release)
    except EcError as error:
        return PlatformStatus(platform=platform, state="not serving", problem=excerpt(str(error)))
    return PlatformStatus(
        platform=platform,
        state="not serving" if problem else "serving",
        problem=problem and f"release {release.version} {problem}",
        generation=generation,
        release=release,
        previous=previous,
    )


def _lines(found: Status) -> list[str]:
    lines = []
    for one in found.platforms:
        lines.append(f"{one.platform}: {one.state}" + (f": {one.problem}" if one.problem else ""))
        if one.release and one.generation:
            lines += _release_lines(one.release, one.generation)
        if one.previous:
            lines.append(f"  before    {excerpt(one.previous.asset)}")
    standing = found.standing
    if standing:
        lines.append(
            f"metadata: newest release {standing.latest}, lowest acceptable {standing.min_version}, "
            f"withdrawn {', '.join(map(str, standing.withdrawn)) or 'none'}; verified {_when(standing.checked)}"
        )
    return lines


def _release_lines(release: Release, generation: Generation) -> list[str]:
    vouched = (
        f"signed, release version {release.version}"
        if release.source == "signed"
        else "NOT SIGNED: believed by the digest that was given"
    )
    lines = [
        f"  image     {excerpt(release.asset)}",
        f"  vouched   {vouched}",
        f"  archive   sha256 {release.archive}",
        f"  boots     {release.toplevel}" + ("" if release.manifest else " (no manifest describes it)"),
        f"  since     {_when(generation.made)} ({generation.reason})",
    ]
    if generation.held:
        lines.append(f"  held      until there is a release newer than {generation.held}")
    return lines


def _when(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
