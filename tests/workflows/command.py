"""What a `run:` may say: one simple command a line, and nothing that only a shell could resolve.

A word is literal, or holds variables of the environment, each as `"$NAME"` or `"${NAME}"` inside double quotes. The
standard output may go to a file (`> FILE`, `>> FILE`). Everything else that a shell gives a meaning to is refused:
whoever reads the line knows what is run, and logic stands where tests reach it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_WORDS_OF_THE_SHELL = """
! . : [ [[ alias break builtin case cd command continue coproc declare do done elif else esac eval exec exit export
false fi for function getopts hash if in local printf pushd popd read readonly return select set shift shopt source
test then time trap true type typeset ulimit umask unalias unset until wait while { }
"""
_MEANING_OUTSIDE_QUOTES = dict.fromkeys("|&;()<", "an operator") | {
    "`": "a substitution",
    "\\": "a backslash",
    "*": "a pattern",
    "?": "a pattern",
    "[": "a pattern",
    "{": "an expansion of braces",
    "}": "an expansion of braces",
}


class NotSimpleError(ValueError):
    """The text is not one simple command a line."""


@dataclass(frozen=True)
class Word:
    """One word: text, and names of variables, in their order."""

    parts: tuple[tuple[str, bool], ...]

    @property
    def literal(self) -> str | None:
        """Its text, or None where a variable is in it."""
        return None if any(is_variable for _, is_variable in self.parts) else "".join(text for text, _ in self.parts)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables in it."""
        return tuple(text for text, is_variable in self.parts if is_variable)

    def value(self, of: Callable[[str], str]) -> str:
        """Return its text, given what variables hold."""
        return "".join(of(text) if is_variable else text for text, is_variable in self.parts)

    def __str__(self) -> str:
        return self.value(lambda name: f"${{{name}}}")


@dataclass
class Command:
    """One command: its words, and the file that its output goes to."""

    words: list[Word] = field(default_factory=list)
    output: Word | None = None
    append: bool = False

    @property
    def program(self) -> Word:
        """What is run."""
        return self.words[0]


def commands(text: str) -> list[Command]:
    """Return the commands of a `run:`, one a line. Raises `NotSimpleError`."""
    return [_command(line) for line in text.splitlines() if line.strip()]


def _command(line: str) -> Command:
    reader = _Reader(line)
    found = Command()
    while (taken := reader.next()) is not None:
        if isinstance(taken, Word):
            found.words.append(taken)
            continue
        target = reader.next()
        if found.output is not None or not isinstance(target, Word):
            raise NotSimpleError(f"an output that goes nowhere, or to two places: {line.strip()}")
        found.output, found.append = target, taken == ">>"
    if not found.words:
        raise NotSimpleError(f"no command: {line.strip()}")
    first = found.program.literal
    if first is not None and (first in _WORDS_OF_THE_SHELL.split() or _ASSIGNMENT.match(first)):
        raise NotSimpleError(f"a word of the shell, or an assignment: {first}")
    return found


class _Reader:
    """Cuts a line into words and outputs."""

    def __init__(self, line: str) -> None:
        self.line = line
        self.at = 0

    def next(self) -> Word | str | None:
        """Return the next word, `>` or `>>`, or None at the end."""
        while self.line[self.at : self.at + 1].isspace():
            self.at += 1
        if self.at == len(self.line):
            return None
        if self.line[self.at] == ">":
            operator = ">>" if self.line.startswith(">>", self.at) else ">"
            self.at += len(operator)
            return operator
        return self._word()

    def _word(self) -> Word:
        parts: list[tuple[str, bool]] = []
        if self.line[self.at] in "#~":
            raise NotSimpleError(f"a comment, or a home: {self.line[self.at :]}")
        while self.at < len(self.line) and not (character := self.line[self.at]).isspace():
            if character == ">":
                raise NotSimpleError(f"an output without a space before it: {self.line.strip()}")
            if character == "$":
                raise NotSimpleError(f"a variable outside double quotes, or a substitution: {self.line[self.at :]}")
            if character in _MEANING_OUTSIDE_QUOTES:
                raise NotSimpleError(f"{_MEANING_OUTSIDE_QUOTES[character]}: {self.line[self.at :]}")
            self.at += 1
            if character == "'":
                parts.append((self._quoted("'"), False))
            elif character == '"':
                parts.extend(_expanded(self._quoted('"')))
            else:
                parts.append((character, False))
        return Word(tuple(parts))

    def _quoted(self, quote: str) -> str:
        end = self.line.find(quote, self.at)
        if end < 0:
            raise NotSimpleError(f"a quote that does not end on its line: {self.line.strip()}")
        text, self.at = self.line[self.at : end], end + 1
        return text


def _expanded(text: str) -> list[tuple[str, bool]]:
    """Return the parts of what stands in double quotes."""
    parts: list[tuple[str, bool]] = []
    at = 0
    for match in _VARIABLE.finditer(text):
        parts += [(text[at : match.start()], False), (match[1] or match[2], True)]
        at = match.end()
    parts.append((text[at:], False))
    if any(character in part for part, is_variable in parts if not is_variable for character in "$`\\"):
        raise NotSimpleError(f"a substitution, or a backslash: {text}")
    return parts
