"""`docs/attacks.md`: it names the attacks that there are, and a wrong answer does not look like a right one."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ec_verify.demo import table
from ec_verify.demo.attacks import ATTACKS, BY_NAME
from ec_verify.demo.errors import DemoError
from ec_verify.demo.node import Result
from ec_verify.demo.peers import PEERS, Outcome
from ec_verify.demo.programs import Ran
from ec_verify.demo.story import Told
from ec_verify.main import run
from ec_verify.progress import Silent

if TYPE_CHECKING:
    from ec_verify.demo.attacks.attack import Attack
    from ec_verify.demo.node import Node

DOCUMENT = Path(__file__).parents[2] / "docs" / "attacks.md"


def told(attack: Attack, verdict: str, code: int, *, peers: tuple[str, int] = ("missed", 0), wrong: str = "") -> Told:
    """Return what everybody said about an attack, all of Nix's tools the same."""
    result = Result(Ran(("ec-verify",), code, "", "", 0.1), {"verdict": verdict, "findings": []})
    outcomes = tuple(Outcome(peer.name, peers[0], peers[1], "") for peer in PEERS)  # type: ignore[arg-type]
    return Told(attack, outcomes, result, (wrong,) if wrong else (), ())


def test_document_names_every_attack_once_and_in_order() -> None:
    """An attack that was added, renamed or removed since the table was measured is noticed: `./dev attacks`."""
    _, _, sections = DOCUMENT.read_text().partition("\n## ")
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", sections, re.MULTILINE)

    assert [attack.name for attack in ATTACKS] == rows


def test_document_has_no_wrong_answer() -> None:
    """What was measured with a fault in it is not published."""
    assert "**wrong**" not in DOCUMENT.read_text()


def test_complaint_about_nothing_is_a_false_alarm() -> None:
    """A tool that fails on a node with which nothing is wrong has not caught anything."""
    row = told(BY_NAME["untouched"], "passed", 0, peers=("missed", 1))

    assert {"false alarm (1)"} == {table.peer_cell(row, outcome) for outcome in row.outcomes}
    assert "silent (0), bytes" == table.own_cell(row)


def test_wrong_answer_stands_out() -> None:
    """The cell says what is wrong, the totals do not count it, and the measurement knows it."""
    right = told(BY_NAME["flipped-byte"], "failed", 1, peers=("caught", 1))
    wrong = told(BY_NAME["edited-row"], "passed", 0, wrong="no finding EV201")
    measured = table.Measured("2.8.0", 28, (right, wrong))
    text = table.render(measured)

    assert [wrong] == measured.wrong
    assert "**wrong** (0): no finding EV201" in text
    assert "| `ec-verify` | right 1 of 2 | right 0 of 0 |" in text
    assert "| `nix store verify` | caught 1, missed 1, n/a 0 | silent 0, false alarm 0, n/a 0 |" in text


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> table.Measured:
    """Measure an attack that cannot be carried out, the untouched node and another attack, in this order."""

    def fail(_node: Node) -> None:
        raise DemoError("no such path")

    attacks = (replace(BY_NAME["untouched"], apply=fail), BY_NAME["untouched"], BY_NAME["edited-row"])
    return table.measure(tmp_path_factory.mktemp("measured"), attacks, Silent())


@pytest.mark.nix
@pytest.mark.root
def test_attack_that_cannot_be_carried_out_ends_no_measurement(measured: table.Measured) -> None:
    """It is a wrong answer, with its reason, and the others are measured all the same."""
    failed, *others = measured.told

    assert [failed] == measured.wrong
    assert ("cannot be carried out: no such path",) == failed.complaints
    assert [(), ()] == [other.complaints for other in others]


def test_bars_in_a_story_do_not_break_the_table() -> None:
    """A cell is a cell."""
    attack = replace(BY_NAME["untouched"], story="wrote a | b")

    assert "wrote a \\| b" in table.render(table.Measured("2.8.0", 28, (told(attack, "passed", 0),)))


@pytest.mark.nix
@pytest.mark.root
def test_measurement_asks_every_tool(measured: table.Measured) -> None:
    """The untouched node and one attack: five answers each, and nothing wrong."""
    _, *others = measured.told

    assert [5, 5] == [len(one.outcomes) + 1 for one in others]
    assert "| `edited-row` |" in table.render(measured)


def test_attack_that_does_not_exist_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is built for nothing; the names that there are are listed."""
    assert 2 == run(["demo", "--table", str(tmp_path / "attacks.md"), "--only", "no-such-attack"])
    assert "untouched" in capsys.readouterr().err
    assert 2 == run(["demo", "--only", "untouched"])
