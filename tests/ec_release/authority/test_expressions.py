"""Expressions: what they may be, and what cannot be told."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_release.authority import expressions
from ec_release.authority.errors import ExpressionError
from ec_release.authority.values import Unknown


@dataclass
class Names:
    """Names that stand for alternatives."""

    known: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def lookup(self, path: tuple[str, ...]) -> tuple[Any, ...] | None:
        """Return what a name stands for."""
        return self.known.get(".".join(path))


KNOWN = Names(
    {
        "env.a": ("one",),
        "inputs.b": (True, False),
        "matrix.l": (["x", "y"],),
        "matrix.o": ({"Key": "v", "list": ["p", "q"]},),
        "inputs.c": ("edge", "latest"),
    }
)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("'it''s'", ("it's",)),
        ("1 == 1.0 && 0x10 == 16", (True,)),
        ("'ABC' == 'abc'", (True,)),
        ("'1' == 1", (True,)),
        ("null == 0", (True,)),
        ("!true || false", (False,)),
        ("!(1 > 2) && 2 >= 2 && 1 < 2 && 1 <= 1 && 1 != 2", (True,)),
        ("env.a", ("one",)),
        ("ENV.A == 'ONE'", (True,)),
        ("inputs.b && 'yes' || 'no'", ("yes", "no")),
        ("secrets.x && 'yes' || 'no'", ("yes", "no")),
        ("inputs.none || 'default'", (Unknown("inputs.none"), "default")),
        ("format('{0}-{1}-{{x}}', env.a, inputs.c)", ("one-edge-{x}", "one-latest-{x}")),
        ("join(matrix.l, '/')", ("x/y",)),
        ('fromJSON(\'{"a": ["b", "c"]}\').a[1]', ("c",)),
        ("fromJSON('[')", (Unknown("fromJSON('[')"),)),
        ("toJSON(true)", ("true",)),
        ("contains(matrix.l, 'X') && contains('abc', 'B')", (True,)),
        ("startsWith('abc', 'A') && endsWith('abc', 'C')", (True,)),
        ("startsWith(github.ref, 'refs/tags/')", (Unknown("startsWith(github.ref, 'refs/tags/')"),)),
        ("hashFiles('x')", (Unknown("hashFiles('x')"),)),
        ("always()", (True,)),
        ("github.event.*.x", (Unknown("github.event.*.x"),)),
        ("github['ref']", (Unknown("github['ref']"),)),
        ("", ("",)),
    ],
)
def test_an_expression_is_what_it_may_be(text: str, values: tuple[Any, ...]) -> None:
    """Known values are put in, unknown ones keep their text, and alternatives stay apart."""
    assert sorted(map(repr, values)) == sorted(map(repr, expressions.evaluate(text, KNOWN)))


@pytest.mark.parametrize(
    ("text", "results"),
    [
        ("plain", ("plain",)),
        ("ghcr.io/${{ env.a }}:${{ inputs.c }}", ("ghcr.io/one:edge", "ghcr.io/one:latest")),
        ("x-${{ github.sha }}", ("x-${{ github.sha }}",)),
        ("${{ 'a' }}${{ 'b' }}", ("ab",)),
        ("${{ '}}' }}", ("}}",)),
        ("a ${{ true }} b", ("a true b",)),
    ],
)
def test_texts_keep_what_cannot_be_told(text: str, results: tuple[str, ...]) -> None:
    """As an expression, in its place."""
    assert results == expressions.resolve(text, KNOWN)


@pytest.mark.parametrize(
    ("text", "outcomes"),
    [
        (None, {True}),
        ("false", {False}),
        ("${{ false }}", {False}),
        ("github.ref == 'x'", {True, False}),
        ("inputs.b", {True, False}),
        ("env.a == 'one'", {True}),
        ("success()", {True, False}),
        ("!always()", {False}),
        ("${{ false }} ", {False}),
        ("${{ false }}x", {True, False}),
    ],
)
def test_conditions_turn_out_one_way_or_both(text: str | None, outcomes: set[bool]) -> None:
    """What only a run decides may be either."""
    assert outcomes == expressions.condition(text, KNOWN)


@pytest.mark.parametrize("text", ["'", "a ..b", "(", "a b", "== 1", "a[", "f(", "f(1,", ")", "1 +", "a.", "$x", "!"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    """As a runner refuses the workflow."""
    with pytest.raises(ExpressionError):
        expressions.evaluate(text, KNOWN)


def test_nesting_ends_where_it_is_known() -> None:
    """Before the stack does."""
    with pytest.raises(ExpressionError, match="nested too deep"):
        expressions.evaluate("(" * 5000 + "1" + ")" * 5000, KNOWN)
    with pytest.raises(ExpressionError, match="too long"):
        expressions.evaluate("1 || " * 10_000 + "1", KNOWN)


def test_too_many_alternatives_become_unknown() -> None:
    """A product that nobody goes through is one that cannot be told."""
    many = Names({"env.a": tuple(f"v{number}" for number in range(60))})

    assert expressions.resolve("${{ env.a }}${{ env.a }}", many)[0].endswith("${{ env.a }}")
    assert isinstance(expressions.evaluate("format('{0}{1}', env.a, env.a)", many)[0], Unknown)


@given(st.text("ab.'()[]!=&|<>,*${} 0x1-_\n", max_size=60))
def test_any_text_is_evaluated_or_refused(text: str) -> None:
    """With an error of ours, and nothing else."""
    for ask in (expressions.evaluate, expressions.resolve, expressions.condition):
        with contextlib.suppress(ExpressionError):
            ask(text, KNOWN)
