"""`ec-netboot stage`."""

from __future__ import annotations

import re
import sys
from pathlib import Path  # noqa: TC003 - cyclopts reads annotations at run time
from typing import Annotated

import msgspec
from cyclopts import Parameter

from ec_closure.errors import UsageError
from ec_netboot.commands.options import DEFAULTS, Common, OnePlatform, now, platforms_of, state_of
from ec_netboot.staging.receive import Tarball
from ec_netboot.staging.stage import Wish
from ec_netboot.staging.stage import stage as carry_out

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SAID = {"staged": "now served", "unchanged": "served already", "held": "stays, as it was chosen by hand"}


def stage(
    *,
    tag: Annotated[str, Parameter(help="Stage this release, also an older one.")] = "",
    tarball: Annotated[Path | None, Parameter(help="Stage this local archive, which nobody signed.")] = None,
    sha256: Annotated[str, Parameter(help="The SHA-256 that the archive must have.")] = "",
    newest: Annotated[
        bool, Parameter(help="Take the newest release, whatever was chosen or configured before.", negative=())
    ] = False,
    platform: OnePlatform = None,
    time: Annotated[str | None, Parameter(help="Judge expiry as if it were this time [now].")] = None,
    common: Common = DEFAULTS,
) -> None:
    """Fetch a release, verify it, and switch to it. Until then, and whatever fails, the old one is served.

    Without options: the newest, or what netboot.toml names. What is staged by hand, with --tag or --tarball, or by
    `rollback`, stays until there is a release newer than those known at that moment.
    """
    config = common.load()
    if sum((bool(tag), tarball is not None, newest)) > 1:
        raise UsageError("--tag, --tarball and --newest exclude one another")
    given = None
    if tarball is not None:
        if not _SHA256.fullmatch(sha256):
            raise UsageError("--tarball needs --sha256", hint="64 hexadecimal digits, from whoever made the archive")
        given = Tarball(tarball, sha256)
    elif sha256:
        raise UsageError("--sha256 goes with --tarball")
    platforms = platforms_of(config, platform)
    if given is not None and len(platforms) > 1:
        raise UsageError("an archive is for one platform", hint="name it: --platform")
    outcomes = carry_out(
        config, state_of(config), platforms, time=now(time), wish=Wish(tag=tag, tarball=given, newest=newest)
    )
    if common.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(outcomes), indent=2).decode() + "\n")
        return
    for outcome in outcomes:
        release = outcome.release
        vouched = f"release version {release.version}, signed" if release.source == "signed" else "NOT SIGNED"
        sys.stdout.write(f"{outcome.platform}: {release.asset} ({vouched}): {_SAID[outcome.action]}\n")
