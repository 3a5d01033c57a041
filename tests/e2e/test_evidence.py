"""From a node to an auditor who has nothing but the bundle and the root key."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from ec_verify.demo.attacks import BY_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from ec_verify.demo.lab import Lab

pytestmark = [pytest.mark.nix, pytest.mark.root]


@pytest.mark.parametrize(("attack", "code"), [("untouched", 0), ("flipped-byte", 1)])
def test_a_verdict_is_repeated_elsewhere(lab: Lab, tmp_path: Path, attack: str, code: int) -> None:
    """Level full, with evaluation and rebuilds: the same verdict, the same findings."""
    node = lab.clone_node(f"evidence-{attack}")
    BY_NAME[attack].apply(node)
    result = lab.verify(node, "--level", "full", "--evidence", str(node.directory / "evidence.tar"))
    auditor = tmp_path / "auditor"
    auditor.mkdir()
    shutil.copy(node.directory / "evidence.tar", auditor)
    shutil.copy(lab.pinned_root, auditor / "root.json")

    ran = lab.programs.attempt(
        ["ec-verify", "check-evidence", auditor / "evidence.tar", "--trust-root", auditor / "root.json", "--json"],
        extra={"PATH": str(shutil.which("ec-verify")).rpartition("/")[0]},
    )

    found = json.loads(ran.stdout)
    assert (code, code, "verified", result.verdict) == (result.exit, ran.exit, found["outcome"], found["verdict"])
    expected = [f"{one['code']} {one['severity']} {one['message']}" for one in result.report["findings"]]
    assert expected == found["findings"]
