"""`ec-verify rebuild`: also run the builders again."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ec_verify.commands.options import Common, Listing, Trust
from ec_verify.commands.run import look


def rebuild(
    *,
    full: Annotated[
        bool, Parameter(help="Every derivation of the build graph, not only CI's own.", negative=())
    ] = False,
    common: Common = Common(),
    trust: Trust = Trust(),
    listing: Listing = Listing(),
) -> int:
    """Verify at level rebuild: also run the builders again in a ghost store. Writes no report."""
    return look("full" if full else "rebuild", common, trust, listing)
