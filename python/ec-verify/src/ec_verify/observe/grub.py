"""grub.cfg, as far as NixOS writes it: menu entries that load a kernel and an initial RAM disk.

GRUB's language is a shell. What is read here are the commands `linux`, `initrd`, `multiboot`, `module` and
`chainloader`, and those that read other configurations, wherever a command may stand; variables and conditions are not
evaluated, and a command whose name is a variable may be anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from ec_verify.observe.loader_entry import LoaderEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

_DRIVE = re.compile(r"^\([^)]*\)")
_LINUX = frozenset({"linux", "linux16", "linuxefi", "multiboot", "multiboot2", "xen_hypervisor"})
_INITRD = frozenset({"initrd", "initrd16", "initrdefi"})
_MODULE = frozenset({"module", "module2", "xen_module"})
_OTHERS = frozenset(
    {"chainloader", "source", ".", "configfile", "legacy_configfile", "legacy_source", "syslinux_configfile", "eval"}
)
MAX_ENTRIES = 10_000
"""More are not returned; a menu of a thousand generations has some thousand."""
_MAX_DEPTH = 50
_KEYWORDS = frozenset({"if", "then", "else", "elif", "do", "while", "until", "!"})
_PIECE = re.compile(
    r"\\(?P<escaped>[\s\S])|'(?P<single>[^']*)'|\"(?P<double>(?:\\[\s\S]|[^\"\\])*)\""
    r"|(?P<plain>\$\{[^}\n$]*\}|[^\s{}|&;<>'\"\\$]+|\$)|(?P<blank>[ \t\r\f\v]+)|(?P<mark>[\s\S])"
)
_UNQUOTED = re.compile(r"\\([\"\\$\n])")


@dataclass
class _Menu:
    """Where a brace opens: the numbers that lead there, what it and those around are called, how many stand in it."""

    path: tuple[int, ...]
    names: tuple[str, ...] = ()
    inside: int = 0


@dataclass
class _Loaded:
    """A command that loads something, with what is loaded for it later."""

    menu: _Menu
    entry: LoaderEntry
    initrds: list[str] = field(default_factory=list)


def parse(config: str) -> list[tuple[LoaderEntry, bool]]:
    """Return the entries in their order, and whether each may be started next: by `set default=`, or outside any menu.

    Values that hold a variable say nothing; the first menu is started where none is said. At most `MAX_ENTRIES`.
    """
    reading = _Reading()
    for command in _commands(config):
        reading.take(command)
    chosen = reading.defaults or {"0"}
    return [
        (replace(one.entry, initrds=tuple(one.initrds)), not one.menu.path or not chosen.isdisjoint(one.menu.names))
        for one in reading.found
    ]


class _Reading:
    """The state between two commands."""

    def __init__(self) -> None:
        self.found: list[_Loaded] = []
        self.defaults: set[str] = set()
        self.menus = [_Menu(())]
        self.opening: _Menu | None = None
        self.kernel: _Loaded | None = None

    def take(self, words: list[str]) -> None:
        """Read one command, or a brace."""
        command, given = words[0], words[1:]
        if command == "{":
            # A function, or a command that takes a block: it counts to the menu around it.
            self.menus.append(self.opening or self.menus[-1])
            self.opening = None
        elif command == "}":
            if len(self.menus) > 1:
                self.menus.pop()
        elif command in ("menuentry", "submenu"):
            self._open(given)
        elif command == "set" and given and given[0].startswith("default=") and "$" not in given[0]:
            self.defaults.add(given[0].removeprefix("default="))
        elif command in _LINUX and given:
            self.kernel = self._add(LoaderEntry(self._title, kernel=_path(given[0]), options=tuple(given[1:])))
        elif command in _OTHERS or "$" in command:
            program = _path(given[-1]) if command in _OTHERS and given else command
            self._add(LoaderEntry(self._title, program=program))
            self.kernel = None
        elif command in _INITRD and self.kernel is not None:
            self.kernel.initrds += map(_path, given)
        elif command in _MODULE and given and self.kernel is not None:
            self._module(self.kernel, given)

    @property
    def _title(self) -> str:
        return self.menus[-1].names[-1] if self.menus[-1].names else "outside any entry"

    def _open(self, given: list[str]) -> None:
        around = self.menus[-1]
        self.kernel = None
        if len(around.path) >= _MAX_DEPTH:
            return  # nobody finds anything there: it counts to the menu around it
        path = (*around.path, around.inside)
        around.inside += 1
        ids = [word for before, word in pairwise(given) if before == "--id"]
        # Whoever is told to start a menu of menus starts one of them.
        self.opening = _Menu(path, (*around.names, ">".join(map(str, path)), *ids, *given[:1]))

    def _add(self, entry: LoaderEntry) -> _Loaded:
        loaded = _Loaded(self.menus[-1], entry)
        if len(self.found) < MAX_ENTRIES:
            self.found.append(loaded)
        return loaded

    def _module(self, loaded: _Loaded, given: list[str]) -> None:
        """Add what a hypervisor is given: first the kernel with its command line, then initial RAM disks.

        The hypervisor's own file stays with them as if it were one more, so that its bytes are not forgotten.
        """
        entry = loaded.entry
        if entry.kernel is not None and not any(word.startswith("init=") for word in entry.options):
            loaded.initrds.append(entry.kernel)
            loaded.entry = replace(entry, kernel=_path(given[0]), options=tuple(given[1:]))
        else:
            loaded.initrds.append(_path(given[0]))


def _path(word: str) -> str:
    return _DRIVE.sub("", word)


def _commands(config: str) -> Iterator[list[str]]:
    """Return the words of each command, and each brace as a command of its own."""
    words: list[str] = []
    for token in (*_tokens(config), "\n"):
        if isinstance(token, _Word):
            if words or token.text not in _KEYWORDS:
                words.append(token.text)
        else:
            if words:
                yield words
            words = []
            if token in ("{", "}"):
                yield [token]


@dataclass(frozen=True)
class _Word:
    text: str


def _tokens(config: str) -> Iterator[_Word | str]:
    """Return words without their quotes, and the marks between commands."""
    pieces: list[str] | None = None
    at = 0
    while match := _PIECE.match(config, at):
        at = match.end()
        kind = match.lastgroup
        if kind == "plain" and pieces is None and match["plain"].startswith("#"):
            end = config.find("\n", match.start())
            at = len(config) if end < 0 else end
            continue
        if kind in ("blank", "mark"):
            if pieces is not None:
                yield _Word("".join(pieces))
            pieces = None
            if kind == "mark":
                yield match["mark"]
        elif match["escaped"] != "\n":
            piece = match["double"]
            pieces = pieces if pieces is not None else []
            pieces.append(_UNQUOTED.sub(r"\1", piece) if piece is not None else match[kind or "plain"])
    if pieces is not None:
        yield _Word("".join(pieces))
