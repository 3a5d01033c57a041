"""The catalogue of findings, and the schemas beside it, are what the code says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import msgspec
from jsonschema import Draft202012Validator
from tests.ec_release.authority.world import DECLARATION, Repository

from ec_release.authority import declaration, findings, schemas
from ec_release.authority.findings import AREAS, KINDS

ROOT = Path(__file__).parents[3]


def test_documents_are_generated(tmp_path: Path) -> None:
    """Both generators were run after the last change."""
    subprocess.run([sys.executable, "-m", "ec_release.authority.findings", tmp_path / "x.md"], check=True)
    subprocess.run([sys.executable, "-m", "ec_release.authority.schemas", tmp_path], check=True)

    assert (tmp_path / "x.md").read_text() == findings.render()
    assert (ROOT / "docs" / "release-findings.md").read_text() == findings.render()
    for name in schemas.DOCUMENTS:
        written = (tmp_path / f"{name}.schema.json").read_text()
        assert written == (ROOT / "docs" / f"{name}.schema.json").read_text()


def test_codes_are_sorted_and_of_a_known_area() -> None:
    """So that a new one finds its place, and no code has two meanings."""
    codes = [kind.code for kind in findings._KINDS]

    assert codes == sorted(set(codes))
    assert all(re.fullmatch(r"RA[1-9][0-9]{2}", code) for code in codes)
    assert {code[:3] for code in codes} == set(AREAS)


def test_every_kind_says_what_to_do() -> None:
    """One line each: a title that fits a table, and a hint that is a sentence."""
    for kind in KINDS.values():
        assert 0 < len(kind.title) <= 60
        assert len(kind.hint) > 15
        assert kind.hint.isprintable()


def test_the_catalogue_and_the_code_agree() -> None:
    """Nothing raises a finding that nobody can look up, and nothing is listed that nothing raises."""
    package = Path(findings.__file__).parent
    raised = {
        code
        for file in package.rglob("*.py")
        if file.name != "findings.py"
        for code in re.findall(r"\"(RA[0-9]{3})\"", file.read_text())
    }

    assert raised == set(KINDS)


def test_what_is_printed_follows_its_schema(repository: Repository) -> None:
    """A judgement with findings, and the declaration itself, are valid."""
    repository.texts["README.md"] = "nothing\n"
    repository.texts[".github/workflows/x.yml"] = "a: [\n"
    schema = json.loads((ROOT / "docs" / "schemas" / "release-gate.v1.schema.json").read_text())
    Draft202012Validator(schema).validate(json.loads(msgspec.json.encode(repository.judge())))

    schema = json.loads((ROOT / "docs" / "release-authority.v1.schema.json").read_text())
    decoded = declaration.decode(DECLARATION.encode())
    Draft202012Validator(schema).validate(json.loads(msgspec.json.encode(decoded)))
