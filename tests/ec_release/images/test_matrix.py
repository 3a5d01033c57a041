"""From outputs to the rows of a matrix: pure, and what a runner gets of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ec_closure.errors import LimitError
from ec_release import actions
from ec_release.images.matrix import plan
from ec_release.images.outputs import Output

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SYSTEM = "x86_64-linux"


def planned(*outputs: Output, cached: bool = False) -> Any:
    """Plan outputs that are all cached, or none."""
    return plan(SYSTEM, outputs, [cached] * len(outputs))


def test_a_cached_image_is_work_only_where_it_is_pushed() -> None:
    """One that is withheld and in a cache needs no job."""
    image = Output("packages", "web-image", copies=True)
    withheld = Output("packages", "web-image", copies=True, withheld=True)

    assert [row["name"] for row in planned(image, cached=True).include()] == ["web-image"]
    assert planned(withheld, cached=True).include() == []
    assert [row["push"] for row in planned(withheld).include()] == [False]
    assert planned(withheld).images() == []


def test_skipping_wins_over_pushing() -> None:
    """An image that CI leaves alone is not pushed either."""
    assert planned(Output("packages", "web-image", copies=True, skip=True)).images() == []


def test_what_failed_to_evaluate_cannot_be_skipped() -> None:
    """Its `meta` is unknown."""
    (row,) = planned(Output("checks", "a", error="thrown", skip=True)).include()
    assert row["status"] == "error"


def test_a_matrix_has_an_end() -> None:
    """GitHub refuses more rows in words that name no cause: we name it."""
    many = [Output("packages", f"p{number}") for number in range(257)]
    assert len(planned(*many[:256]).include()) == 256
    with pytest.raises(LimitError, match="257 outputs to build, and a matrix has 256"):
        planned(*many).include()
    assert planned(*many, cached=True).include() == []


def test_people_see_a_table() -> None:
    """With every output, what becomes of it, and why one fails; what flakes say stays text."""
    text = planned(
        Output("packages", "web-image", paths=("/nix/store/x",), copies=True),
        Output("packages", "held-image", copies=True, withheld=True),
        Output("packages", "skipped", skip=True),
        Output("checks", "bad|`name`", error="<b>thrown</b>\n| [x](http://x) @all"),
    ).summary()

    lines = text.splitlines()
    assert lines[0] == "### Outputs for x86&#95;64-linux"
    assert lines[4] == "| packages | web-image | image | /nix/store/x | build |"
    assert lines[5] == "| packages | held-image | image, not pushed |  | build |"
    assert lines[6] == "| packages | skipped |  |  | skipped |"
    assert lines[7].count("|") == 6
    assert "<b>" not in text
    assert "](" not in text
    assert "@all" not in text


def test_a_long_table_is_cut() -> None:
    """A runner takes a mebibyte."""
    rows = [("x" * 300,) * 5] * 2000
    text = actions.table("t", ("a",) * 5, rows)
    assert 800_000 < len(text) < 1_000_000
    assert text.rstrip().endswith(" more")


def test_values_cannot_end_themselves(tmp_path: Path) -> None:
    """A value with lines of its own, whatever they look like, sets one output."""
    file = tmp_path / "output"
    value = "one\nadmin=true\nEOF\nadmin<<EOF\ntrue"
    actions.set_outputs({"a": value, "b": ""}, {"GITHUB_OUTPUT": str(file)})
    actions.set_outputs({"c": "3"}, {"GITHUB_OUTPUT": str(file)})
    lines = file.read_text().splitlines()
    found = {}
    while lines:
        name, _, delimiter = lines.pop(0).partition("<<")
        end = lines.index(delimiter)
        found[name] = "\n".join(lines[:end])
        del lines[: end + 1]

    assert found == {"a": value, "b": "", "c": "3"}


def test_outputs_have_an_end(tmp_path: Path) -> None:
    """Said before the runner cuts them."""
    with pytest.raises(LimitError, match="larger than"):
        actions.set_outputs({"a": "x" * 1_000_000}, {"GITHUB_OUTPUT": str(tmp_path / "output")})


def test_elsewhere_nothing_is_written(tmp_path: Path) -> None:
    """On a desk there is no runner."""
    actions.set_outputs({"a": "1"}, {})
    actions.add_summary("text", {"GITHUB_STEP_SUMMARY": ""})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.nix
def test_the_runner_gets_outputs_and_a_table(
    new_flake: Any,
    in_store: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Callable[..., tuple[int, str, str]],
) -> None:
    """What `fromJSON` reads is what `--json` prints."""
    assert in_store
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    flake = new_flake('packages.x86_64-linux = { a = d "a" { }; b-image = image "b" { }; t = throw "no"; };')
    code, out, err = command("matrix", "--flake", flake.top, "--system", SYSTEM, "--local-only", "--json")
    assert code == 0
    assert "does not evaluate" in err
    lines = (tmp_path / "output").read_text().splitlines()
    given = {line.partition("<<")[0]: value for line, value in zip(lines[::3], lines[1::3], strict=True)}
    assert json.loads(given["matrix_include"]) == json.loads(out)["matrix_include"]
    assert (given["has_work"], given["images"], given["system"]) == ("true", '["b-image"]', SYSTEM)
    assert "| packages | t |  |  | error&#58; no |" in (tmp_path / "summary").read_text()
