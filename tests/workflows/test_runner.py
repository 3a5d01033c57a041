"""The runner of steps runs what a forge's runner would, and refuses what it does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.workflows.expressions import ExpressionError, condition, evaluate, interpolated
from tests.workflows.runner import UnknownError, assignments

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.workflows.documents import Document
    from tests.workflows.runner import Runner

CONTEXTS = {
    "github": {"ref_name": "main", "event_name": "push", "event": {"list": ["a", "B"]}},
    "steps": {"build": {"outputs": {"digest": "sha256:1"}, "outcome": "success"}},
    "inputs": {"push": "true", "flag": True},
    "matrix": {"target": {"file": "x.iso"}},
}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "github.ref_name == 'main' && github.event_name != 'pull_request'"),
        (True, "!(github.ref_name == 'MAIN') || contains(github.event.list, 'b')"),
        ("sha256:1", "steps.build.outputs.digest"),
        ("", "steps.build.outputs.other"),
        ("", "inputs.other"),
        ("x.iso", "matrix.target['file']"),
        ("it's main", "format('it''s {0}', github.ref_name)"),
        (["u", 1], "fromJSON('[\"u\", 1]')"),
        (True, "startsWith(github.ref_name, 'ma') && endsWith(github.ref_name, 'in')"),
        ("b", "inputs.other || 'b'"),
        (True, "1 == '1'"),
        (False, "null == 'x'"),
        (True, "inputs.flag == true"),
        (False, "inputs.push == true"),
        (True, "success() && !failure() && always()"),
    ],
)
def test_expressions_are_worked_out(value: Any, text: str) -> None:
    """As GitHub documents them, case of words and kinds of values included."""
    assert value == evaluate(text, CONTEXTS)


@pytest.mark.parametrize(
    "text",
    ["", "github.nothing", "github", "unknown.x", "hashFiles('x')", "a b", "github.ref_name ==", "(true", "'x", "1 + 1",
     "fromJSON('{')", "github.event.list[9]", "format('{1}')", "matrix.target.*", "startsWith('a')", "!"],
)  # fmt: skip
def test_what_is_not_known_is_an_error(text: str) -> None:
    """A context, a property, a function, a sign; a whole context is no text, but may be a value."""
    if text == "github":
        assert evaluate(text, CONTEXTS) == CONTEXTS["github"]
        return
    with pytest.raises(ExpressionError):
        evaluate(text, CONTEXTS)


def test_text_around_expressions_stays() -> None:
    """And one that does not end is an error."""
    assert interpolated("a-${{ github.ref_name }}-${{ 'x}}y' }}", CONTEXTS) == "a-main-x}}y"
    with pytest.raises(ExpressionError):
        interpolated("a ${{ github.ref_name }", CONTEXTS)


@pytest.mark.parametrize(
    ("text", "status", "runs"),
    [
        ("github.ref_name == 'main'", "success", True),
        ("github.ref_name == 'main'", "failure", False),
        ("always()", "failure", True),
        ("${{ always() && github.ref_name == 'main' }}", "failure", True),
        ("failure()", "success", False),
        ("failure()", "failure", True),
        (True, "failure", False),
        (False, "success", False),
    ],
)
def test_conditions_hold_after_success_unless_they_ask(text: Any, status: str, runs: bool) -> None:  # noqa: FBT001
    """A step without a function of its own runs only if those before it went well."""
    assert runs == condition(text, CONTEXTS, status)


JOB = """
on: push
env: {A: top, B: top}
jobs:
  a:
    runs-on: x
    env: {B: "job ${{ github.ref_name }}"}
    outputs: {result: "${{ steps.two.outputs.said }}"}
    steps:
      - id: one
        env: {C: "${{ env.B }}"}
        run: ./say said "$A-$B-$C"
      - id: two
        uses: actions/echo@1
        with: {text: "${{ steps.one.outputs.said }}!"}
      - run: ./fail
      - run: ./say skipped x
      - if: always() && steps.two.outputs.said != ''
        run: ./say told x
"""
SAY = '#!/bin/sh\necho "$1=$2" >> "$GITHUB_OUTPUT"\necho "$1" >> "$GITHUB_STEP_SUMMARY"\n'


def test_a_job_is_run(planted: Callable[..., Document], machine: Callable[..., Runner], tmp_path: Any) -> None:
    """Environments are layered, outputs go from step to step, a failure skips what does not ask for it."""
    for name, text in {"say": SAY, "fail": "#!/bin/sh\nexit 3\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    document = planted(JOB)
    runner = machine(
        contexts={"github": {"ref_name": "main"}},
        workspace=tmp_path,
        actions={"actions/echo": lambda _, inputs: {"said": inputs["text"]}},
    )

    assert runner.job(document.path, "a") == {"result": "top-job main-job main!"}
    assert [step.outcome for step in runner.ran] == ["success", "success", "failure", "skipped", "success"]
    assert runner.summary == "said\ntold\n"
    assert not runner.succeeded


ACTION = """
name: a
description: a
inputs: {text: {required: true}, end: {default: "!"}}
outputs: {said: {value: "${{ steps.s.outputs.said }}"}}
runs:
  using: composite
  steps:
    - id: s
      shell: bash
      env: {TEXT: "${{ inputs.text }}${{ inputs.end }}"}
      run: '"$GITHUB_ACTION_PATH/say" said "$TEXT"'
"""


def test_an_action_of_ours_is_run(machine: Callable[..., Runner], tmp_path: Any) -> None:
    """With its defaults, from where it lies; an input that it does not have, or lacks, is an error."""
    directory = tmp_path / "action"
    directory.mkdir()
    (directory / "action.yml").write_text(ACTION)
    (directory / "say").write_text(SAY)
    (directory / "say").chmod(0o755)
    runner = machine(workspace=tmp_path)

    assert runner.action(directory, {"text": "$(x) hello"}) == {"said": "$(x) hello!"}
    for wrong in ({}, {"text": "x", "other": "y"}):
        with pytest.raises(UnknownError):
            runner.action(directory, wrong)


@pytest.mark.parametrize(
    "step",
    ["{uses: actions/other@1}", "{run: ./x, retries: 3}", "{uses: ./.github/actions/none}"],
)
def test_steps_that_are_not_known_are_refused(planted: Callable[..., Document], machine: Any, step: str) -> None:
    """Nothing is passed over."""
    document = planted(f"on: push\njobs: {{a: {{runs-on: x, steps: [{step}]}}}}\n")
    with pytest.raises((UnknownError, FileNotFoundError)):
        machine().job(document.path, "a")


def test_our_own_program_is_the_one_of_this_environment(planted: Any, machine: Any) -> None:
    """`nix run .#ec-release` is it; anything else that nix should do fails here."""
    document = planted(
        "on: push\njobs: {a: {runs-on: x, steps: [{run: nix run .#ec-release -- --version}, {run: nix build .#x}]}}\n"
    )
    runner = machine()
    runner.job(document.path, "a")

    assert [(step.outcome, step.output.split()[0]) for step in runner.ran] == [
        ("success", "0.1.0"),
        ("failure", "this"),
    ]


def test_files_of_assignments_are_read() -> None:
    """One line or several; what is neither is an error."""
    assert assignments("a=b=c\nd<<END\nx\ny=z\nEND\n\ne=\n") == {"a": "b=c", "d": "x\ny=z", "e": ""}
    for wrong in ("a\n", "a<<END\nx\n", "a b=c\n"):
        with pytest.raises(UnknownError):
            assignments(wrong)
