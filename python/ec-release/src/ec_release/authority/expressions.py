"""Expressions of workflows, `${{ … }}`, as far as they can be told without running anything. Pure.

A value is a set of *alternatives*: `${{ github.ref_name == 'main' && 'edge' || 'none' }}` is `edge` or `none`. What
cannot be told is `Unknown`, which keeps the expression's text, so that texts around it still say something:
`ghcr.io/${{ github.repository_owner }}/x`.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Protocol

from ec_closure.decoding import excerpt
from ec_release.authority.errors import ExpressionError
from ec_release.authority.functions import FUNCTIONS
from ec_release.authority.values import (
    MARK,
    MAX_ALTERNATIVES,
    Alternatives,
    Unknown,
    Value,
    compare,
    is_unknown,
    limited,
    member,
    text_of,
    truth,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_LENGTH = 20_000
MAX_DEPTH = 40


class Scope(Protocol):
    """Where names are looked up."""

    def lookup(self, path: tuple[str, ...]) -> Alternatives | None:
        """Return what `path[0].path[1]…` may be, or None where it cannot be told. Names are in lower case."""


_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?))|(?P<text>'(?:[^']|'')*')"
    r"|(?P<operator>&&|\|\||==|!=|<=|>=|[<>!()\[\],.*])|(?P<name>[A-Za-z_][A-Za-z0-9_-]*))"
)
_EMBEDDED = re.compile(r"\$\{\{((?:[^'}]|'(?:[^']|'')*'|\}(?!\}))*)\}\}")


def resolve(text: str, scope: Scope) -> tuple[str, ...]:
    """Return what *text* may become. Raises `ExpressionError`."""
    return tuple(dict.fromkeys(text_of(value) for value in values_of(text, scope)))


def values_of(text: str, scope: Scope) -> Alternatives:
    """Return what *text* may become: a value of any kind when it is one expression and nothing else."""
    if MARK not in text:
        return (text,)
    if len(text) > MAX_LENGTH * 10:
        raise ExpressionError("a text with expressions is too long")
    pieces = _EMBEDDED.split(text)
    if len(pieces) == 3 and not pieces[0].strip() and not pieces[2].strip():  # noqa: PLR2004 - before, inside, after
        return evaluate(pieces[1], scope)
    results = [""]
    for index, piece in enumerate(pieces):
        parts = [text_of(value) for value in evaluate(piece, scope)] if index % 2 else [piece]
        if len(results) * len(parts) > MAX_ALTERNATIVES:
            parts = [str(Unknown(piece.strip()))]
        results = [before + part for before in results for part in parts]
    return tuple(dict.fromkeys(results))


def condition(text: str | None, scope: Scope) -> set[bool]:
    """Return how a step's or job's `if` may turn out. Nothing written means that it runs unless something failed."""
    if text is None:
        return {True}
    inner = _EMBEDDED.fullmatch(text.strip())
    if inner is None and MARK in text:
        # A text that is not empty is true, whatever expressions are in it: a known trap.
        return {True, False}
    outcomes: set[bool] = set()
    for value in evaluate(inner[1] if inner else text, scope):
        outcomes |= {True, False} if is_unknown(value) else {truth(value)}
    return outcomes


def evaluate(expression: str, scope: Scope) -> Alternatives:
    """Return what *expression* may be. Raises `ExpressionError` for what is none."""
    if len(expression) > MAX_LENGTH:
        raise ExpressionError("an expression is too long")
    return _Parser(expression.strip(), scope).whole()


class _Parser:
    """Evaluates while it reads: precedence by levels, brackets at most `MAX_DEPTH` deep."""

    def __init__(self, source: str, scope: Scope) -> None:
        self.source, self.scope, self.depth = source, scope, 0
        self.tokens = list(self.split())
        self.at = 0

    def split(self) -> Iterable[tuple[str, str, int]]:
        position = 0
        while position < len(self.source):
            match = _TOKEN.match(self.source, position)
            if match is None:
                if not self.source[position:].strip():
                    return
                raise ExpressionError(f"{excerpt(self.source, 80)!r} is no expression")
            kind = str(match.lastgroup)
            yield kind, match[kind], match.start(kind)
            position = match.end()

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def operator(self, *wanted: str) -> str:
        """Return the next token and go on, if it is one of those wanted operators."""
        if self.at < len(self.tokens) and self.tokens[self.at][0] == "operator" and self.peek() in wanted:
            self.at += 1
            return self.tokens[self.at - 1][1]
        return ""

    def expect(self, wanted: str) -> None:
        if not self.operator(wanted):
            raise ExpressionError(f"{wanted!r} is missing in {excerpt(self.source, 80)!r}")

    def since(self, start: int) -> str:
        """Return the text of the expression from token *start* to here."""
        end = self.tokens[self.at][2] if self.at < len(self.tokens) else len(self.source)
        return self.source[self.tokens[start][2] : end].strip() if start < len(self.tokens) else self.source

    def whole(self) -> Alternatives:
        if not self.tokens:
            return ("",)
        result = self.either()
        if self.at != len(self.tokens):
            raise ExpressionError(f"{excerpt(self.source, 80)!r} goes on after its end")
        return result

    def either(self) -> Alternatives:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError("an expression is nested too deep")
        start, left = self.at, self.both()
        while self.operator("||"):
            right = self.both()
            left = limited(self.joined(left, right, take_right_when=False), self.since(start))
        self.depth -= 1
        return left

    def both(self) -> Alternatives:
        start, left = self.at, self.equality()
        while self.operator("&&"):
            right = self.equality()
            left = limited(self.joined(left, right, take_right_when=True), self.since(start))
        return left

    @staticmethod
    def joined(left: Alternatives, right: Alternatives, *, take_right_when: bool) -> Iterable[Value]:
        """Yield the results of `&&` (the right when the left is true) or `||` (when it is false)."""
        for value in left:
            if is_unknown(value):
                # As a condition it is false where its value matters, and true where the other side's does.
                yield from right
                yield False if take_right_when else value
            elif truth(value) is take_right_when:
                yield from right
            else:
                yield value

    def equality(self) -> Alternatives:
        start, left = self.at, self.unary()
        while sign := self.operator("==", "!=", "<", "<=", ">", ">="):
            right = self.unary()
            text = self.since(start)
            left = limited((compare(sign, a, b, text) for a in left for b in right), text)
        return left

    def unary(self) -> Alternatives:
        negations, start = 0, self.at
        while self.operator("!"):
            negations += 1
        value = self.primary()
        if not negations:
            return value
        text = self.since(start)
        return limited(
            (Unknown(text) if is_unknown(one) else truth(one) is (negations % 2 == 0) for one in value), text
        )

    def primary(self) -> Alternatives:
        if self.operator("("):
            inner = self.either()
            self.expect(")")
            return inner
        if self.at >= len(self.tokens):
            raise ExpressionError(f"{excerpt(self.source, 80)!r} ends too early")
        start = self.at
        kind, text, _ = self.tokens[start]
        self.at += 1
        if kind == "text":
            return (text[1:-1].replace("''", "'"),)
        if kind == "number":
            return (float(int(text, 16)) if "x" in text else float(text),)
        if kind == "operator":
            raise ExpressionError(f"{text!r} is out of place in {excerpt(self.source, 80)!r}")
        constants: dict[str, Value] = {"true": True, "false": False, "null": None}
        if text.lower() in constants:
            return (constants[text.lower()],)
        if self.operator("("):
            return self.call(text.lower(), start)
        return self.reference(text.lower(), start)

    def call(self, name: str, start: int) -> Alternatives:
        arguments: list[Alternatives] = []
        if not self.operator(")"):
            arguments.append(self.either())
            while self.operator(","):
                arguments.append(self.either())
            self.expect(")")
        text = self.since(start)
        fewest, most, function = FUNCTIONS.get(name, (0, -1, None))
        results: list[Value] = []
        if function is not None and fewest <= len(arguments) <= most:
            results = [
                Unknown(text) if any(map(is_unknown, combination)) else function(text, *combination)
                for combination in itertools.islice(itertools.product(*arguments), MAX_ALTERNATIVES + 1)
            ]
        return self.continued(limited(results, text) if results else (Unknown(text),), start)

    def reference(self, name: str, start: int) -> Alternatives:
        path = [name]
        while (found := self.step()) is not None:
            path.append(found)
        text = self.since(start)
        found_values = None if "*" in path else self.scope.lookup(tuple(path))
        return (Unknown(text),) if found_values is None else limited(found_values, text)

    def continued(self, values: Alternatives, start: int) -> Alternatives:
        """Follow `.name` and `[index]` behind a call."""
        while (found := self.step()) is not None:
            text = self.since(start)
            values = limited((member(value, found, text) for value in values), text)
        return values

    def step(self) -> str | None:
        """Read one `.name` or `[index]`, and return the key; `*` for one that cannot be told."""
        if self.operator("."):
            if self.operator("*"):
                return "*"
            if self.at < len(self.tokens) and self.tokens[self.at][0] == "name":
                self.at += 1
                return self.tokens[self.at - 1][1].lower()
            raise ExpressionError(f"a name is missing in {excerpt(self.source, 80)!r}")
        if self.operator("["):
            if self.operator("*"):
                self.expect("]")
                return "*"
            index = self.either()
            self.expect("]")
            return text_of(index[0]).lower() if len(index) == 1 and not isinstance(index[0], Unknown) else "*"
        return None
