from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from ec_closure import findings
from ec_closure.findings import AREAS, KINDS

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "findings.md"


def test_the_document_is_the_catalogue(tmp_path: Path) -> None:
    """`python -m ec_closure.findings docs/findings.md` was run after the last change."""
    written = tmp_path / "findings.md"
    subprocess.run([sys.executable, "-m", "ec_closure.findings", written], check=True)

    assert written.read_text() == findings.render()
    assert DOCUMENT.read_text() == findings.render()


def test_every_kind_is_documented() -> None:
    """Under its area, with its severity and hint."""
    text = findings.render()
    for code, kind in KINDS.items():
        area, section = text.split(f"\n### {code}: ")
        section = section.split("\n#")[0]
        assert section == f"{kind.title}\n\nDefault severity: **{kind.severity}**. {kind.hint}\n"
        assert area.rpartition("\n## ")[2].startswith(f"{code[:3]}xx: {AREAS[code[:3]]}\n")


def test_codes_are_unique_sorted_and_of_a_known_area() -> None:
    """So that a new one finds its place, and no code has two meanings."""
    codes = [kind.code for kind in findings._KINDS]

    assert codes == sorted(set(codes))
    assert all(re.fullmatch(r"EV[1-9][0-9]{2}", code) for code in codes)
    assert {code[:3] for code in codes} == set(AREAS)
    assert codes == list(KINDS)


def test_every_kind_says_what_to_do() -> None:
    """One line each: a title that fits a table, and a hint that is a sentence."""
    for kind in KINDS.values():
        assert kind.title.isprintable()
        assert 0 < len(kind.title) <= 60
        assert kind.hint.isprintable()
        assert kind.hint.endswith(".")
        assert len(kind.hint) > 20


def test_the_catalogue_and_the_code_agree() -> None:
    """Nothing raises a finding that nobody can look up, and nothing is listed that nothing raises."""
    raised = {
        code
        for file in (ROOT / "python").glob("*/src/**/*.py")
        if file.name != "findings.py"
        for code in re.findall(r"\bEV[0-9]{3}\b", file.read_text())
    }

    assert raised == set(KINDS)
