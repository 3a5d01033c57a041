"""What the commands of a script become once variables are known as far as they can be. Pure; nothing is run.

A variable is a set of alternatives, as in expressions. What cannot be told stays in the word as `$NAME`, `$(…)` or
`${{ … }}`: such a word is *open*.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ec_release.authority.shell_words import Piece, RawCommand, split

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_ALTERNATIVES = 64
MAX_NESTING = 8
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\+?=(.*)", re.DOTALL)
_FIELD = re.compile(r"(?:\$\{\{.*?\}\}|\$\([^()]*\)|\S)+", re.DOTALL)
_OPEN = re.compile(r"\$\{\{|\$\(|\$\{|\$[A-Za-z0-9_@*#?!]|`")
_KEYWORDS = frozenset(
    ["if", "then", "else", "elif", "fi", "while", "until", "do", "done", "!", "{", "}", "time", "esac", "function"]
)
_DECLARE = frozenset(["export", "declare", "local", "readonly", "typeset"])


@dataclass(frozen=True)
class Command:
    """One command as it may be run: its words, and the line of the script. *document* is what it is fed."""

    words: tuple[str, ...]
    line: int
    document: str | None = None
    fed: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What running a script may do, as far as this reader sees: commands, and variables written for later steps."""

    commands: list[Command] = field(default_factory=list)
    environment: dict[str, tuple[str, ...]] = field(default_factory=dict)
    outputs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    blurred: set[str] = field(default_factory=set)
    """`environment` or `outputs` where something was written that cannot be told."""


def is_open(word: str) -> bool:
    """Tell whether a part of *word* is not known."""
    return _OPEN.search(word) is not None


def run(script: str, variables: Mapping[str, tuple[str, ...]]) -> Outcome:
    """Return what *script* may do with *variables* in its environment. Raises `LimitError`."""
    outcome = Outcome()
    _Reader(dict(variables), outcome).script(script, 0, None)
    return outcome


class _Reader:
    """Goes through a script with the variables that it sets."""

    def __init__(self, variables: dict[str, tuple[str, ...]], outcome: Outcome) -> None:
        self.variables, self.outcome = variables, outcome
        # How deep defaults in defaults are being looked at: ${a:-${b:-…}}
        self.defaults = 0

    def script(self, text: str, depth: int, line: int | None) -> None:
        """Read *text*; *line* is that of a substitution it stands in."""
        previous: tuple[str, ...] = ()
        for raw in split(text):
            at = raw.line if line is None else line
            self.substitutions(raw, depth, at)
            last: tuple[str, ...] = ()
            for words in self.combinations(raw):
                last = self.command(words, raw, at, previous if raw.piped else ())
            previous = last

    def substitutions(self, raw: RawCommand, depth: int, line: int) -> None:
        if depth >= MAX_NESTING:
            return
        for word in (*raw.words, *raw.outputs):
            for piece in word:
                if piece.kind == "run":
                    self.script(piece.text, depth + 1, line)
                elif piece.other is not None:
                    for inner in split(piece.other):
                        self.substitutions(inner, depth + 1, line)

    def combinations(self, raw: RawCommand) -> list[tuple[str, ...]]:
        """Return the command lines that *raw* may become."""
        lines: list[tuple[str, ...]] = [()]
        for word in raw.words:
            fields = self.fields(word)
            if len(lines) * len(fields) > MAX_ALTERNATIVES:
                fields = [("".join(_spelt(piece) for piece in word),)]
            lines = [(*before, *more) for before in lines for more in fields]
        return list(dict.fromkeys(lines))

    def command(self, words: tuple[str, ...], raw: RawCommand, line: int, fed: tuple[str, ...]) -> tuple[str, ...]:
        """Take note of one command line, and return it without keywords and assignments."""
        rest = list(words)
        while rest and rest[0] in _KEYWORDS:
            rest.pop(0)
        if rest[:1] == ["for"] and "in" in rest:
            self.variables[rest[1]] = tuple(rest[rest.index("in") + 1 :]) or ("",)
            return ()
        if rest and rest[0] in _DECLARE:
            rest = [word for word in rest[1:] if not word.startswith("-")]
            for word in rest:
                self.assign(word)
            return ()
        while rest and (match := _ASSIGNMENT.fullmatch(rest[0])):
            self.assign(match[0])
            rest.pop(0)
        self.written(rest, raw)
        if rest:
            self.outcome.commands.append(Command(tuple(rest), line, raw.document, fed))
        return tuple(rest)

    def assign(self, text: str) -> None:
        match = _ASSIGNMENT.fullmatch(text)
        if match:
            known = self.variables.get(match[1], ())
            # A branch may set what another does not: what was known stays possible.
            self.variables[match[1]] = tuple(dict.fromkeys([*known, match[2]]))[-MAX_ALTERNATIVES:]

    def written(self, words: list[str], raw: RawCommand) -> None:
        """Follow what is written to the files that a runner reads for later steps."""
        for target in raw.outputs:
            name = "".join(piece.text for piece in target)
            if "GITHUB_ENV" in name or "FORGEJO_ENV" in name:
                self.pairs(words, raw, self.outcome.environment, "environment")
            elif "GITHUB_OUTPUT" in name or "FORGEJO_OUTPUT" in name:
                self.pairs(words, raw, self.outcome.outputs, "outputs")

    def pairs(self, words: list[str], raw: RawCommand, into: dict[str, tuple[str, ...]], what: str) -> None:
        text = " ".join(words[1:]) if words[:1] in (["echo"], ["printf"]) else raw.document
        match = _ASSIGNMENT.fullmatch((text or "").removesuffix("\\n"))
        if match is None or (words[:1] == ["printf"] and "%" in (text or "")):
            self.outcome.blurred.add(what)
            return
        into[match[1]] = tuple(dict.fromkeys([*into.get(match[1], ()), match[2]]))

    def fields(self, word: tuple[Piece, ...]) -> list[tuple[str, ...]]:
        """Return the lists of fields that one word may become: mostly one list of one."""
        results: list[str] = [""]
        quoted = False
        for piece in word:
            values = self.values(piece)
            if len(results) * len(values) > MAX_ALTERNATIVES:
                values = (_spelt(piece),)
            quoted = quoted or (piece.quoted and not (piece.kind == "name" and piece.text in "@*"))
            results = [before + value for before in results for value in values]
        if quoted or all(piece.kind == "text" for piece in word):
            return [(result,) for result in dict.fromkeys(results)]
        return [tuple(_FIELD.findall(result)) for result in dict.fromkeys(results)]

    def values(self, piece: Piece) -> tuple[str, ...]:
        if piece.kind != "name":
            return (_spelt(piece),)
        known = self.variables.get(piece.text)
        if piece.other is None:
            return known or (_spelt(piece),)
        if self.defaults >= MAX_NESTING:
            return (f"${piece.text}",)
        self.defaults += 1
        other = tuple("".join(inner) for inner in self.words_of(piece.other))
        self.defaults -= 1
        return (
            other
            if known is None
            else tuple(dict.fromkeys(value for one in known for value in ([one] if one else other)))
        )

    def words_of(self, text: str) -> Iterator[tuple[str, ...]]:
        commands = split(text)
        words = [word for raw in commands for word in raw.words]
        yield tuple(" ".join(self.fields(word)[0]) for word in words)


def _spelt(piece: Piece) -> str:
    """Return a piece that cannot be told, as it was written; a substitution by its first word: it is one field."""
    if piece.kind == "run":
        return f"$({next(iter(piece.text.split()), '')}…)"
    if piece.kind == "open" and not piece.text.startswith("${{"):
        return "".join(piece.text.split())
    return f"${piece.text}" if piece.kind == "name" else piece.text
