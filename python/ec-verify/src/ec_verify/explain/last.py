"""What the last run was judged on, from the evidence that it left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_closure import canonical, evidence
from ec_closure.errors import BadInputError
from ec_verify.evidence import document
from ec_verify.report.deliver import LAST_EVIDENCE

if TYPE_CHECKING:
    from ec_verify.judge import Case
    from ec_verify.state import State


def last_case(state: State) -> Case | None:
    """Return the case of the last run, None where it left none that can be read by this version.

    An explanation does without: only what was evaluated and rebuilt is then unknown. Raises `StateError`.
    """
    data = state.read(LAST_EVIDENCE)
    if data is None:
        return None
    try:
        members, _ = evidence.read(data, what=LAST_EVIDENCE)
        raw = canonical.decompress(members[evidence.CASE], what=evidence.CASE, max_bytes=document.MAX_BYTES)
        return document.decode(raw, what=evidence.CASE).case
    except (BadInputError, KeyError):
        return None
