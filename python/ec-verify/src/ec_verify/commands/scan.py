"""`ec-verify scan`: hash the store and judge it."""

from __future__ import annotations

from ec_verify.commands.options import Common, Listing, References, Trust
from ec_verify.commands.run import look


def scan(
    *,
    references: References = False,
    common: Common = Common(),
    trust: Trust = Trust(),
    listing: Listing = Listing(),
) -> int:
    """Verify at level bytes: hash the store and judge it. Writes no report."""
    return look("bytes", common, trust, listing, references=references)
