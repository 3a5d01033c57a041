"""The text of a shell script, cut into commands of words that are not expanded yet. Pure; nothing is run.

This reads what scripts of CI are made of: simple commands in lists and pipes, quotes, variables, substitutions, here
documents, redirections. Of compound commands it sees the commands inside; whether a branch is taken, it does not ask.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ec_release.authority.errors import YamlLimitError

MAX_LENGTH = 1 << 20
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?!$-]")
_ARRAY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_OPERATORS = ("&&", "||", ";;", "|&", ";", "|", "&", "(", ")", "\n")
_REDIRECT = re.compile(r"(?:[0-9]+|&)?(?:<<<|<<-|<<|>>|>\||>&|<&|<>|>|<)")


@dataclass(frozen=True)
class Piece:
    """A part of a word.

    *kind* is `text`; `name`, of a variable (*other* is what `:-` gives); `run`, what a substitution runs; or `open`, a
    text that only a shell or a runner resolves.
    """

    kind: str
    text: str
    quoted: bool = False
    other: str | None = None


@dataclass(frozen=True)
class RawCommand:
    """Words of pieces, the *line* of the script on which the first begins, and what is redirected where."""

    words: tuple[tuple[Piece, ...], ...]
    line: int
    outputs: tuple[tuple[Piece, ...], ...] = ()
    document: str | None = None
    piped: bool = False


@dataclass
class _Pending:
    words: list[tuple[Piece, ...]] = field(default_factory=list)
    outputs: list[tuple[Piece, ...]] = field(default_factory=list)
    line: int = 0
    document: str | None = None
    piped: bool = False


def split(script: str) -> list[RawCommand]:
    """Return the commands of *script*, those in substitutions not among them (they are in `run` pieces)."""
    if len(script) > MAX_LENGTH:
        raise YamlLimitError(f"a script of more than {MAX_LENGTH} characters")
    return _Splitter(script).commands()


class _Splitter:
    """Walks over one script, once."""

    def __init__(self, script: str) -> None:
        self.script, self.at, self.line = script, 0, 1
        self.done: list[_Pending] = []
        self.now = _Pending()
        self.awaited: list[tuple[_Pending, str, bool]] = []

    def commands(self) -> list[RawCommand]:
        while self.at < len(self.script):
            here = self.script[self.at]
            if self.script.startswith("\\\n", self.at):
                self.skip(2)
            elif here in " \t\r":
                self.skip(1)
            elif here == "#":
                self.skip(self.length_to("\n"))
            elif redirect := _REDIRECT.match(self.script, self.at):
                self.now.line = self.now.line or self.line
                self.redirect(redirect[0])
            elif operator := next((one for one in _OPERATORS if self.script.startswith(one, self.at)), ""):
                self.skip(len(operator))
                self.finish(piped=operator in ("|", "|&"))
                if operator == "\n":
                    self.documents()
            else:
                self.now.line = self.now.line or self.line
                self.now.words.append(self.word())
        self.finish(piped=False)
        return [
            RawCommand(tuple(one.words), one.line, tuple(one.outputs), one.document, piped=one.piped)
            for one in self.done
        ]

    def skip(self, count: int) -> None:
        self.line += self.script.count("\n", self.at, self.at + count)
        self.at += count

    def length_to(self, end: str, start: int | None = None) -> int:
        """Return how many characters there are from *start* (here) up to *end*, or to the end of the script."""
        begin = self.at if start is None else start
        found = self.script.find(end, begin)
        return (len(self.script) if found < 0 else found) - begin

    def finish(self, *, piped: bool) -> None:
        if self.now.words or self.now.outputs:
            self.done.append(self.now)
        self.now = _Pending(piped=piped)

    def redirect(self, operator: str) -> None:
        self.skip(len(operator))
        while self.at < len(self.script) and self.script[self.at] in " \t":
            self.skip(1)
        if self.at >= len(self.script) or self.script[self.at] == "\n":
            return
        target = self.word()
        kind = operator.lstrip("0123456789&")
        if kind in ("<<", "<<-"):
            self.awaited.append((self.now, "".join(piece.text for piece in target), kind == "<<-"))
        elif kind == "<<<":
            self.now.document = "".join(piece.text for piece in target)
        elif kind.startswith(">"):
            self.now.outputs.append(target)

    def documents(self) -> None:
        """Read the here documents that the line before announced."""
        awaited, self.awaited = self.awaited, []
        for pending, end, tabs in awaited:
            lines: list[str] = []
            while self.at < len(self.script):
                length = self.length_to("\n")
                line = self.script[self.at : self.at + length]
                self.skip(min(length + 1, len(self.script) - self.at))
                if (line.lstrip("\t") if tabs else line) == end:
                    break
                lines.append(line)
            pending.document = "\n".join(lines)

    def word(self) -> tuple[Piece, ...]:
        """Read one word, from here to the next white space or operator outside of quotes."""
        pieces: list[Piece] = []
        start = self.at
        while self.at < len(self.script):
            here = self.script[self.at]
            if self.script.startswith("\\\n", self.at):
                self.skip(2)
            elif here == "(" and _ARRAY.fullmatch("".join(piece.text for piece in pieces)):
                pieces.append(self.taken("open", self.array(), 0, 0, quoted=True))
            elif here in " \t\r\n;|&()<>":
                break
            elif here == "'":
                end = self.length_to("'", self.at + 1)
                pieces.append(Piece("text", self.script[self.at + 1 : self.at + 1 + end], quoted=True))
                self.skip(min(end + 2, len(self.script) - self.at))
            elif here == '"':
                self.skip(1)
                pieces.append(Piece("text", "", quoted=True))
                self.double(pieces)
            elif here == "\\":
                pieces.append(Piece("text", self.script[self.at + 1 : self.at + 2], quoted=True))
                self.skip(min(2, len(self.script) - self.at))
            elif here in "$`":
                pieces.append(self.dollar(quoted=False))
            else:
                pieces.append(Piece("text", here))
                self.skip(1)
        if self.at == start:
            # An operator where a word is due
            self.skip(1)
        return tuple(pieces)

    def array(self) -> int:
        """Return the length of the list that a variable is given, from its opening bracket."""
        self.at -= 1
        length = self.balanced("(", ")") - 1
        self.at += 1
        return length

    def double(self, pieces: list[Piece]) -> None:
        while self.at < len(self.script):
            here = self.script[self.at]
            if here == '"':
                self.skip(1)
                return
            if here == "\\" and self.script[self.at + 1 : self.at + 2] in ("$", "`", '"', "\\", "\n"):
                pieces.append(Piece("text", self.script[self.at + 1].replace("\n", ""), quoted=True))
                self.skip(2)
            elif here in "$`":
                pieces.append(self.dollar(quoted=True))
            else:
                pieces.append(Piece("text", here, quoted=True))
                self.skip(1)

    def dollar(self, *, quoted: bool) -> Piece:
        """Read what begins with `$` or a backtick."""
        if self.script.startswith("${{", self.at):
            length = min(self.length_to("}}") + 2, len(self.script) - self.at)
            return self.taken("open", length, 0, 0, quoted=quoted)
        if self.script[self.at] == "`":
            return self.taken("run", self.length_to("`", self.at + 1) + 2, 1, 1, quoted=quoted)
        if self.script.startswith("$((", self.at):
            return self.taken("open", self.length_to("))") + 2, 0, 0, quoted=quoted)
        if self.script.startswith("$(", self.at):
            return self.taken("run", self.balanced("(", ")"), 2, 1, quoted=quoted)
        if self.script.startswith("${", self.at):
            return self.braced(self.balanced("{", "}"), quoted=quoted)
        name = _NAME.match(self.script, self.at + 1)
        if name is None:
            return self.taken("text", 1, 0, 0, quoted=quoted)
        return self.taken("name", 1 + len(name[0]), 1, 0, quoted=quoted)

    def taken(self, kind: str, length: int, before: int, after: int, *, quoted: bool) -> Piece:
        text = self.script[self.at : self.at + length]
        self.skip(min(length, len(self.script) - self.at))
        return Piece(kind, text[before : len(text) - after if after else len(text)], quoted=quoted)

    def balanced(self, opening: str, closing: str) -> int:
        """Return the length up to the bracket that closes the one after the dollar, whatever is quoted between them."""
        position, inside = self.at + 1, [""]
        while position < len(self.script):
            here, within = self.script[position], inside[-1]
            if here == "\\" and within != "'":
                position += 1
            elif (here == within and here in "'\"") or (here == closing and within == opening):
                inside.pop()
                if len(inside) == 1:
                    return position + 1 - self.at
            elif within != "'" and self.opens(here, within, opening, position):
                inside.append(here)
            position += 1
        return len(self.script) - self.at

    def opens(self, here: str, within: str, opening: str, position: int) -> bool:
        """Tell whether a character begins something that must end first."""
        if within == '"':
            return here == opening and self.script[position - 1] == "$"
        return here in (opening, "'", '"')

    def braced(self, length: int, *, quoted: bool) -> Piece:
        whole = self.taken("open", length, 0, 0, quoted=quoted).text
        inner = whole[2:-1]
        name = _NAME.match(inner)
        if name is None:
            return Piece("open", whole, quoted=quoted)
        rest = inner[name.end() :]
        if not rest:
            return Piece("name", name[0], quoted=quoted)
        default = re.match(r":?[-=]", rest)
        if default:
            return Piece("name", name[0], quoted=quoted, other=rest[default.end() :])
        if rest.startswith((":?", "?")):
            return Piece("name", name[0], quoted=quoted)
        return Piece("open", whole, quoted=quoted)
