"""Expressions of workflows, `${{ … }}`, as far as they can be told without running anything. Pure.

A value is a set of *alternatives*: `${{ github.ref_name == 'main' && 'edge' || 'none' }}` is `edge` or `none`. What cannot
be told is `Unknown`, which keeps the expression's text, so that texts around it still say something:
`ghcr.io/${{ github.repository_owner }}/x`.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ec_closure.decoding import excerpt
from ec_release.authority.errors import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_LENGTH = 20_000
MAX_DEPTH = 40
MAX_ALTERNATIVES = 64
MARK = "${{"


@dataclass(frozen=True)
class Unknown:
    """What cannot be told, by the expression that it comes from."""

    text: str

    def __str__(self) -> str:
        """Return it as it would be written."""
        return f"{MARK} {self.text} }}}}"


Value: TypeAlias = Any
"""str, float, bool, None, list, dict (as in JSON), or `Unknown`."""
Alternatives: TypeAlias = tuple[Value, ...]


class Scope(Protocol):
    """Where names are looked up."""

    def lookup(self, path: tuple[str, ...]) -> Alternatives | None:
        """Return what `path[0].path[1]…` may be, or None where it cannot be told. Names are in lower case."""


_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?))|(?P<text>'(?:[^']|'')*')"
    r"|(?P<operator>&&|\|\||==|!=|<=|>=|[<>!()\[\],.*])|(?P<name>[A-Za-z_][A-Za-z0-9_-]*))"
)
_EMBEDDED = re.compile(r"\$\{\{((?:[^'}]|'(?:[^']|'')*'|\}(?!\}))*)\}\}")


def limited(values: Iterable[Value], text: str) -> Alternatives:
    """Return *values* without repetition; as unknown when they are too many to go through."""
    found: list[Value] = []
    for value in values:
        if not any(same(value, other) for other in found):
            found.append(value)
        if len(found) > MAX_ALTERNATIVES:
            return (Unknown(text),)
    return tuple(found)


def same(one: Value, other: Value) -> bool:
    """Tell whether two values are one, in type as well."""
    return type(one) is type(other) and bool(one == other)


def text_of(value: Value) -> str:
    """Return a value as it stands in a text."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return str(int(value)) if value.is_integer() else repr(value)
        case str() | Unknown():
            return str(value)
    return json.dumps(value, default=str)


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
        outcomes |= {True, False} if isinstance(value, Unknown) else {truth(value)}
    return outcomes


def truth(value: Value) -> bool:
    """Tell whether a value that is no `Unknown` counts as true."""
    return value not in (None, False, 0, "") and value == value  # noqa: PLR0124 - NaN


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
            if isinstance(value, Unknown):
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
            (Unknown(text) if isinstance(one, Unknown) else truth(one) is (negations % 2 == 0) for one in value), text
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
        fewest, most, function = _FUNCTIONS.get(name, (0, -1, None))
        results: list[Value] = []
        if function is not None and fewest <= len(arguments) <= most:
            for combination in itertools.islice(itertools.product(*arguments), MAX_ALTERNATIVES + 1):
                results.append(Unknown(text) if any(map(is_unknown, combination)) else function(text, *combination))
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


def is_unknown(value: Value) -> bool:
    """Tell whether a value cannot be told, or is a text of which a part cannot."""
    return isinstance(value, Unknown) or (isinstance(value, str) and MARK in value)


def member(value: Value, key: str, text: str) -> Value:
    """Return what a value holds at *key*."""
    if isinstance(value, dict):
        return next((inner for name, inner in value.items() if name.lower() == key), None)
    if isinstance(value, list) and key.isdigit():
        return value[int(key)] if int(key) < len(value) else None
    return Unknown(text) if is_unknown(value) else None


def _number(value: Value) -> float:
    match value:
        case None:
            return 0.0
        case bool() | int() | float():
            return float(value)
        case str():
            try:
                return float(value.strip() or "0")
            except ValueError:
                return float("nan")
    return float("nan")


def compare(sign: str, left: Value, right: Value, text: str) -> Value:
    """Return how a comparison turns out: texts without regard to case, other kinds as numbers, as GitHub does it."""
    if is_unknown(left) or is_unknown(right):
        return Unknown(text)
    one: Any
    other: Any
    if isinstance(left, str) and isinstance(right, str):
        one, other = left.lower(), right.lower()
    else:
        one, other = _number(left), _number(right)
    outcomes: dict[str, Callable[[], bool]] = {
        "==": lambda: one == other,
        "!=": lambda: one != other,
        "<": lambda: one < other,
        "<=": lambda: one <= other,
        ">": lambda: one > other,
        ">=": lambda: one >= other,
    }
    return outcomes[sign]()


def _format(text: str, pattern: Value, *values: Value) -> Value:
    def put(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        index = int(match[1])
        return text_of(values[index]) if index < len(values) else text

    return re.sub(r"\{\{|\}\}|\{(\d{1,3})\}", put, text_of(pattern))


def _join(text: str, values: Value, separator: Value = ",") -> Value:
    if isinstance(values, list):
        return text_of(separator).join(map(text_of, values))
    return Unknown(text) if isinstance(values, dict) else text_of(values)


def _from_json(text: str, value: Value) -> Value:
    try:
        return json.loads(text_of(value), parse_int=float)
    except (ValueError, RecursionError):
        return Unknown(text)


def _contains(_text: str, where: Value, what: Value) -> Value:
    if isinstance(where, list):
        return any(compare("==", one, what, "") is True for one in where)
    return text_of(what).lower() in text_of(where).lower()


def _starts_with(_text: str, where: Value, what: Value) -> Value:
    return text_of(where).lower().startswith(text_of(what).lower())


def _ends_with(_text: str, where: Value, what: Value) -> Value:
    return text_of(where).lower().endswith(text_of(what).lower())


_FUNCTIONS: dict[str, tuple[int, int, Callable[..., Value]]] = {
    # By name: the fewest arguments, the most, and what comes of them. What a run decides (`success()`) is not here.
    "always": (0, 0, lambda _text: True),
    "contains": (2, 2, _contains),
    "endswith": (2, 2, _ends_with),
    "format": (1, MAX_ALTERNATIVES, _format),
    "fromjson": (1, 1, _from_json),
    "join": (1, 2, _join),
    "startswith": (2, 2, _starts_with),
    "tojson": (1, 1, lambda _text, value: json.dumps(value, default=str)),
}
