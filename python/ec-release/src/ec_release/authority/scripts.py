"""From a command to what it does: through the scripts of the repository that it runs. Pure."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, TypeAlias

from ec_closure.errors import BadInputError
from ec_release.authority import programs, shell, tools
from ec_release.authority.acts import Act
from ec_release.authority.sources import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_release.authority.shell import Command
    from ec_release.authority.sources import Files

MAX_SCRIPTS = 8
"""How deep scripts may call one another."""

Found: TypeAlias = "Iterator[tuple[Act, Place, tuple[Place, ...]]]"
"""Acts, each with the line that does it, and the calls that lead there."""

_SHELLS = ("sh", "bash", "dash", "zsh", "ash")
_SUFFIXES = (".sh", ".bash", ".py", ".pl", ".rb", ".js", ".ts", ".mjs", ".mk")
# What these are given is text, or a name to look for.
_QUOTING = frozenset(["echo", "printf", "grep", "sed", "awk", "git", "cat", "[", "test", "true", "false", ":", "#"])
_RECIPES = {
    # Programs that find what to do in a file of a fixed name.
    "make": ("GNUmakefile", "makefile", "Makefile"),
    "gmake": ("GNUmakefile", "makefile", "Makefile"),
    "just": ("justfile", "Justfile", ".justfile"),
    "task": ("Taskfile.yml", "Taskfile.yaml"),
    "npm": ("package.json",),
    "pnpm": ("package.json",),
    "yarn": ("package.json",),
    "tox": ("tox.ini", "pyproject.toml"),
    "nox": ("noxfile.py",),
    "invoke": ("tasks.py",),
    "rake": ("Rakefile",),
    "earthly": ("Earthfile",),
}
_OURS = re.compile(r"(?:\.{1,2}(?:/[^#]*)?|path:[^#]*|git\+file:[^#]*|self)?#")


class Scripts:
    """Follows the commands of one step."""

    def __init__(self, files: Files, environment: dict[str, tuple[str, ...]]) -> None:
        self.files, self.environment = files, environment
        self.seen: set[tuple[str, tuple[str, ...]]] = set()

    def command(self, command: Command, place: Place, via: tuple[Place, ...], depth: int) -> Found:
        """Yield what one command does. Nothing is yielded for what is known to do nothing, or is not known at all."""
        program = programs.unwrap(command.words)
        if depth > MAX_SCRIPTS:
            yield Act("unclear", program.name, why="what scripts do that call one another without end"), place, via
            return
        if program.script is not None:
            yield from self.text(program.script, (), place, via, depth, fixed=place)
            return
        if _is_shell(command) and command.document is not None:
            yield from self.text(command.document, (), place, via, depth, fixed=place)
        if _is_shell(command) and command.fed:
            yield Act("unclear", command.words[0], why=f"what a shell is fed by {command.fed[0]}"), place, via
        acts = tools.acts_of(program.words, self.environment)
        for act in acts:
            yield act, place, via
        followed = list(self.file(program, place, via, depth))
        yield from followed
        if not acts and not followed:
            yield from ((act, place, via) for act in self.suspected(program, command))

    def suspected(self, program: programs.Program, command: Command) -> Iterator[Act]:
        """Yield what a program may do that is not known here, by what it is given."""
        if _OURS.match(program.installable) and not self.is_ours(program.name):
            yield Act("unclear", program.installable, why=f"what {program.installable} does")
            return
        if program.name in _QUOTING or not program.words:
            return
        looks = tools.PUBLISHING.search(" ".join([*program.words[1:], command.document or ""]))
        if looks:
            yield Act("unclear", program.name, why=f"what {program.name} does, which is given {looks[0]!r}")

    def is_ours(self, name: str) -> bool:
        """Tell whether a program is one of the repository's distributions: those publish by verbs that are known."""
        wanted = re.compile(rf'^name = "{re.escape(name)}"$', re.MULTILINE)
        projects = [path for path in self.files.texts if path.endswith("pyproject.toml")]
        return any(wanted.search(self.files.text(path)) for path in projects)

    def file(self, program: programs.Program, place: Place, via: tuple[Place, ...], depth: int) -> Found:
        """Follow a program that is a file of the repository, or one that is given such a file."""
        for recipe in _RECIPES.get(program.name, ()):
            for path in self.named(recipe):
                yield from self.other(path, place, via)
        for at, word in enumerate(program.words[:3]):
            if at == 0 and "/" not in word:
                continue
            paths = self.named(word)
            for path in paths:
                yield from self.one(path, program.words[at + 1 :], place, via, depth)
            if paths:
                return

    def named(self, word: str) -> list[str]:
        """Return the files that *word* may mean, from whatever directory it is said."""
        if word.startswith("-"):
            return []
        path = self.files.find(word) if not word.startswith("/") else None
        if path is not None:
            return [path]
        plain = re.sub(r"^(?:\.{0,2}/)+", "", word)
        if "/" not in word and not word.endswith(_SUFFIXES) and word not in sum(_RECIPES.values(), ()):
            return []
        return (
            [one for one in self.files.texts if one.endswith(f"/{plain}") and plain] if not word.startswith("/") else []
        )

    def one(self, path: str, arguments: tuple[str, ...], place: Place, via: tuple[Place, ...], depth: int) -> Found:
        """Read one file: as a script where it is one for a shell, else for what in it looks like a publication."""
        text = self.files.text(path)
        first = text.partition("\n")[0]
        if posixpath.basename(first.rpartition(" ")[2] or first).strip() in _SHELLS or path.endswith((".sh", ".bash")):
            if (path, arguments) not in self.seen:
                self.seen.add((path, arguments))
                yield from self.text(text, arguments, Place(path, 1), (*via, place), depth, fixed=None)
        else:
            yield from self.other(path, place, via)

    def other(self, path: str, place: Place, via: tuple[Place, ...]) -> Found:
        """Look in a file of another language for what looks like a publication."""
        text = self.files.text(path)
        looks = tools.PUBLISHING.search(text)
        if looks:
            line = text.count("\n", 0, looks.start()) + 1
            why = f"what {path} does, which mentions {looks[0]!r}"
            yield Act("unclear", path, why=why), Place(path, line), (*via, place)

    def text(
        self,
        text: str,
        arguments: tuple[str, ...],
        start: Place,
        via: tuple[Place, ...],
        depth: int,
        *,
        fixed: Place | None,
    ) -> Found:
        """Go through a script; *fixed* is the place of everything in it where it stands in one argument."""
        variables = {"PWD": (".",), **self.environment, "0": (start.file,)}
        for number, argument in enumerate(arguments, 1):
            variables[str(number)] = (argument,)
        if arguments:
            variables["@"] = variables["*"] = (" ".join(arguments),)
        try:
            outcome = shell.run(text, variables)
        except BadInputError as error:
            yield Act("unclear", start.file, why=f"what a script does: {error.message}"), start, via
            return
        for command in dict.fromkeys(outcome.commands):
            place = fixed or Place(start.file, command.line)
            yield from self.command(command, place, via, depth + 1)


def _is_shell(command: Command) -> bool:
    return posixpath.basename(command.words[0]) in _SHELLS and all(word.startswith("-") for word in command.words[1:])
