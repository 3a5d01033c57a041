"""What is said of the node itself: its memory, its identity, and how fresh its report is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ec_verify.model import Standing

if TYPE_CHECKING:
    from tests.ec_verify.conftest import Scene

TMPFS = "rollback protection since boot only, and an ephemeral identity: the state directory lies on tmpfs"


@pytest.mark.parametrize(
    ("standing", "status", "reasons"),
    [
        (Standing(volatile="tmpfs"), "not done", [TMPFS]),
        (Standing(unknown="why"), "not done", ["not known whether the state directory outlives a reboot: why"]),
        (Standing(nonce=True, nonce_note="fresh"), "done", ["fresh"]),
        (Standing(nonce=False, nonce_note="late"), "partly", ["late"]),
        (Standing(volatile="tmpfs", nonce=True, nonce_note="fresh"), "partly", ["fresh", TMPFS]),
    ],
)
def test_coverage_tells_and_the_verdict_does_not_change(
    scene: Scene, standing: Standing, status: str, reasons: list[str]
) -> None:
    """A netboot node proves what it runs as well as any other."""
    judged = scene.set(standing=standing).judge()

    (found,) = (one for one in judged.coverage if one.step == "node")
    assert ("passed", status, reasons) == (judged.verdict, found.status, list(found.reasons))


def test_nothing_is_said_where_nothing_was_asked(scene: Scene) -> None:
    """An older case has no word on it."""
    assert "node" not in {one.step for one in scene.judge().coverage}
