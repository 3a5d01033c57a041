"""`ec-verify source`: also evaluate the embedded flake."""

from __future__ import annotations

from ec_verify.commands.options import Common, Listing, Trust
from ec_verify.commands.run import look


def source(*, common: Common = Common(), trust: Trust = Trust(), listing: Listing = Listing()) -> int:
    """Verify at level source: also evaluate the embedded flake. Writes no report."""
    return look("source", common, trust, listing)
