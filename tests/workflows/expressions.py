"""Expressions of workflows, `${{ … }}`: the subset that this repository uses. Anything else is an error.

Literals (`'text'` with `''` for a quote, numbers, `true`, `false`, `null`), names of contexts (`github.ref_name`,
`steps.build.outputs.digest`, `matrix.target['file']`), `!`, `==`, `!=`, `&&`, `||`, parentheses, and the functions
below. A property that is not there is null in GitHub's reading; here it is an error, but for those of `inputs`,
`secrets`, `vars`, `env` and of outputs, which are empty when nobody set them. Both sides of `&&` and `||` are always
worked out.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)(?![\w.])|(?P<name>[A-Za-z_][\w-]*)"
    r"|(?P<sign>==|!=|&&|\|\||[!().,\[\]]))"
)
_WHOLE = re.compile(r"\$\{\{(?P<inner>(?:[^'}]|'(?:[^']|'')*'|\}(?!\}))*)\}\}")
_MAY_BE_UNSET = frozenset({"inputs", "secrets", "vars", "env", "outputs"})


class ExpressionError(ValueError):
    """The expression is no expression, says what this subset does not have, or names what is not there."""


def text_of(value: Any) -> str:
    """Return a value as it stands in a text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return json.dumps(value, indent=2)
    return f"{value:g}" if isinstance(value, float) else str(value)


def interpolated(text: str, contexts: Mapping[str, Any], status: str = "success") -> str:
    """Return *text* with its expressions worked out. Raises `ExpressionError`."""
    done = _WHOLE.sub(lambda match: text_of(evaluate(match["inner"], contexts, status)), text)
    if "${{" in _WHOLE.sub("", text):
        raise ExpressionError(f"an expression that does not end: {text}")
    return done


def condition(text: Any, contexts: Mapping[str, Any], status: str) -> bool:
    """Tell whether an `if:` holds, after steps that went as *status* says: `success`, `failure` or `cancelled`."""
    if isinstance(text, bool):
        return text and status == "success"
    whole = _WHOLE.fullmatch(text.strip())
    inner = whole["inner"] if whole else text
    asks = re.search(r"\b(always|success|failure|cancelled)\s*\(", inner)
    value = evaluate(inner, contexts, status)
    return _truth(value) and (bool(asks) or status == "success")


def evaluate(text: str, contexts: Mapping[str, Any], status: str = "success") -> Any:
    """Return the value of one expression. Raises `ExpressionError`."""
    return _Parser(text, contexts, status).whole()


def _truth(value: Any) -> bool:
    return value not in (None, False, 0, "")


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold() == right.casefold()
    if type(left) is type(right) or {type(left), type(right)} <= {int, float}:
        return bool(left == right)
    return _number(left) == _number(right)


def _number(value: Any) -> float:
    if isinstance(value, str):
        try:
            return float(value or "0")
        except ValueError:
            return float("nan")
    return float(value or 0) if not isinstance(value, dict | list) else float("nan")


def _format(pattern: str, *values: Any) -> str:
    return re.sub(r"\{(\d+)\}", lambda match: text_of(values[int(match[1])]), pattern)


def _contains(where: Any, what: Any) -> bool:
    if isinstance(where, list):
        return any(_same(item, what) for item in where)
    return text_of(what).casefold() in text_of(where).casefold()


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "contains": _contains,
    "startswith": lambda text, start: text_of(text).casefold().startswith(text_of(start).casefold()),
    "endswith": lambda text, end: text_of(text).casefold().endswith(text_of(end).casefold()),
    "format": _format,
    "fromjson": lambda text: json.loads(text_of(text)),
    "tojson": lambda value: json.dumps(value, indent=2),
}


class _Parser:
    def __init__(self, text: str, contexts: Mapping[str, Any], status: str) -> None:
        self.text, self.contexts, self.status = text, contexts, status
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if not match:
                raise ExpressionError(f"not understood: {text[at:].strip()} in {text.strip()}")
            self.tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
            at = match.end()
        self.at = 0

    def whole(self) -> Any:
        value = self._either()
        if self.at != len(self.tokens):
            raise ExpressionError(f"more than one expression: {self.text.strip()}")
        return value

    def _take(self, sign: str) -> bool:
        if self.at < len(self.tokens) and ("sign", sign) == self.tokens[self.at]:
            self.at += 1
            return True
        return False

    def _need(self, sign: str) -> None:
        if not self._take(sign):
            raise ExpressionError(f"{sign} is missing: {self.text.strip()}")

    def _either(self) -> Any:
        value = self._both()
        while self._take("||"):
            other = self._both()
            value = value if _truth(value) else other
        return value

    def _both(self) -> Any:
        value = self._compared()
        while self._take("&&"):
            other = self._compared()
            value = other if _truth(value) else value
        return value

    def _compared(self) -> Any:
        value = self._negated()
        while True:
            if self._take("=="):
                value = _same(value, self._negated())
            elif self._take("!="):
                value = not _same(value, self._negated())
            else:
                return value

    def _negated(self) -> Any:
        if self._take("!"):
            return not _truth(self._negated())
        return self._single()

    def _single(self) -> Any:
        if self._take("("):
            value = self._either()
            self._need(")")
            return value
        kind, token = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        self.at += 1
        if kind == "text":
            return token[1:-1].replace("''", "'")
        if kind == "number":
            return float(token) if "." in token else int(token)
        if kind != "name":
            raise ExpressionError(f"a value is missing: {self.text.strip()}")
        if token in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[token]
        return self._call(token) if self._take("(") else self._path(token)

    def _call(self, name: str) -> Any:
        values: list[Any] = []
        while not self._take(")"):
            values.append(self._either())
            if not self._take(","):
                self._need(")")
                break
        if name in ("always", "success", "failure", "cancelled") and not values:
            return name in ("always", self.status)
        if name.lower() not in _FUNCTIONS:
            raise ExpressionError(f"a function that is not known here: {name}")
        try:
            return _FUNCTIONS[name.lower()](*values)
        except (TypeError, ValueError, IndexError) as error:
            raise ExpressionError(f"{name}: {error}") from error

    def _path(self, name: str) -> Any:
        if name not in self.contexts:
            raise ExpressionError(f"a context that is not known here: {name}")
        value, last = self.contexts[name], name
        while True:
            if self._take("."):
                key: Any = self.tokens[self.at][1] if self.at < len(self.tokens) else ""
                self.at += 1
            elif self._take("["):
                key = self._either()
                self._need("]")
            else:
                return value
            value, last = self._step(value, last, key), str(key)

    def _step(self, value: Any, last: str, key: Any) -> Any:
        if isinstance(value, dict) and key in value:
            return value[key]
        if isinstance(value, list) and isinstance(key, int) and key < len(value):
            return value[key]
        if isinstance(value, dict) and last in _MAY_BE_UNSET:
            return ""
        raise ExpressionError(f"{last} has no {key}: {self.text.strip()}")
