"""`ec-release trust sign`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - cyclopts reads annotations at run time
from typing import Annotated

from cyclopts import Parameter

from ec_release.commands.options import read_root
from ec_release.output import emit
from ec_release.trust.ceremony import read_pending, write_pending
from ec_release.trust.keys import KeyRing, load_private
from ec_release.trust.proposal import add_signatures, summarise
from ec_release.trust.published import parse


def sign(
    *,
    pending: Annotated[Path, Parameter(help="The proposal; your signature is added to this file.")],
    root: Annotated[Path, Parameter(help="The current root that you trust, to show what would change.")],
    key: Annotated[tuple[Path, ...], Parameter(help="Your private root key.", negative=())] = (),
    json: Annotated[bool, Parameter(help="Print the result as JSON.", negative=())] = False,
) -> None:
    """Add your signature to a proposed root. Needs no network and no repository: run it where your key is.

    Without --key it only shows what would change. Look first: a signature cannot be taken back.
    """
    current = parse(read_root(root), "root", str(root))
    proposal = read_pending(pending)
    summary = summarise(proposal, current)
    if key:
        ring = KeyRing()
        for path in key:
            ring.add(load_private(path), path)
        add_signatures(proposal, current.signed, ring)
        write_pending(pending, proposal)
        summary = summarise(proposal, current)
    emit({"pending": pending, "complete": summary.complete, "proposal": summary}, as_json=json)
