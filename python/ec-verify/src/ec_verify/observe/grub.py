"""grub.cfg, as far as NixOS writes it: menu entries that load a kernel and an initial RAM disk.

GRUB's language is a shell. What is read here are the commands `linux`, `initrd`, `multiboot`, `module` and
`chainloader` wherever they stand; variables and conditions are not evaluated.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

from ec_verify.observe.loader_entry import LoaderEntry

_MAX_LINES = 100_000
_DRIVE = re.compile(r"^\([^)]*\)")
_LINUX = frozenset({"linux", "linux16", "linuxefi", "multiboot", "multiboot2"})
_INITRD = frozenset({"initrd", "initrd16", "initrdefi"})
_MODULE = frozenset({"module", "module2"})
_SET_DEFAULT = re.compile(r"^\s*set\s+default=\"?([^\"\s]*)\"?\s*$")


def parse(config: str) -> tuple[list[LoaderEntry], str | None]:
    """Return the entries in their order, and the text of the last `set default=` that holds no variable."""
    entries: list[LoaderEntry] = []
    title, default = "outside any entry", None
    fresh = True
    for line in config.split("\n")[:_MAX_LINES]:
        if match := _SET_DEFAULT.match(line):
            default = default if "$" in match[1] else match[1]
            continue
        command, *words = _words(line)
        if command in ("menuentry", "submenu"):
            title, fresh = words[0] if words else "", True
        elif command in _LINUX and words:
            entries.append(LoaderEntry(title, kernel=_path(words[0]), options=tuple(words[1:])))
            fresh = False
        elif command == "chainloader" and words:
            entries.append(LoaderEntry(title, program=_path(words[-1])))
            fresh = True
        elif command in _INITRD and entries and not fresh:
            more = tuple(map(_path, words))
            entries[-1] = replace(entries[-1], initrds=entries[-1].initrds + more)
        elif command in _MODULE and words and entries and not fresh:
            entries[-1] = _module(entries[-1], words)
    return entries, default


def _module(entry: LoaderEntry, words: list[str]) -> LoaderEntry:
    """Add what a hypervisor is given: first the kernel with its command line, then initial RAM disks.

    The hypervisor's own file stays with them as if it were one more, so that its bytes are not forgotten.
    """
    if entry.kernel is not None and not any(word.startswith("init=") for word in entry.options):
        initrds = (*entry.initrds, entry.kernel)
        return replace(entry, kernel=_path(words[0]), options=tuple(words[1:]), initrds=initrds)
    return replace(entry, initrds=(*entry.initrds, _path(words[0])))


def _path(word: str) -> str:
    return _DRIVE.sub("", word)


def _words(line: str) -> list[str]:
    stripped = line.strip()
    if not stripped or stripped.startswith("#"):
        return [""]
    try:
        return shlex.split(stripped) or [""]
    except ValueError:  # a quotation that goes on in the next line
        return stripped.split()
