"""`ec-verify fetch`: what a run without network will need."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from cyclopts import Parameter

from ec_closure.courier import FetchOutput
from ec_verify.commands.options import Common, parse_time
from ec_verify.courier.fetch import fetch as bring
from ec_verify.text import printable


def fetch(
    *,
    time: Annotated[str | None, Parameter(help="Judge expiry as if it were this time [now].")] = None,
    common: Common = Common(),
) -> int:
    """Fetch what `ec-verify run --offline` needs: metadata, manifests, and a nonce of the dashboard.

    Needs no rights but to write to courier.directory, which must be its own: let it run as a user of its own, with the
    network, so that what reads the store needs none. Nothing that it leaves is believed for lying there. Exits with 3
    when metadata or manifests are not what they should be; a dashboard that gives no nonce is no reason.
    """
    settings = common.settings()
    found = bring(settings.config, time=datetime.now(UTC) if time is None else parse_time(time))
    if common.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
    else:
        _print(found)
    return 3 if found.problems else 0


def _print(found: FetchOutput) -> None:
    sys.stdout.write(f"system    {printable(found.toplevel or 'none')}\n")
    if not found.has_manifest:
        sys.stdout.write("manifest  none of this system\n")
    for manifest in found.manifests:
        sys.stdout.write(f"manifest  {printable(manifest.target)} ({manifest.size} bytes)\n")
    if found.metadata_age is not None:
        sys.stdout.write(
            f"metadata  {found.metadata_age} seconds old, newest release {found.latest_version or 'none'}\n"
        )
    sys.stdout.write(f"nonce     {'one, for the next report' if found.nonce else 'none'}\n")
    sys.stdout.writelines(f"problem   {printable(problem)}\n" for problem in found.problems)
