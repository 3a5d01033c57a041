"""Entries of systemd-boot: the Boot Loader Specification's type 1, and who is started next."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass

_COUNTERS = re.compile(r"\+\d+(-\d+)?$")
_NUMBERS = re.compile(r"(\d+)")
_BLANKS = " \t"
_BREAK = re.compile(r"[\r\n]")
_SPLIT = re.compile(r"[ \t]+")
MAX_PATTERN = 1000
"""Of longer patterns, nothing is said: names have 255 characters, and a pattern of brackets takes for ever."""
_DEFAULT_KEYS = ("preferred", "default")


@dataclass(frozen=True)
class LoaderEntry:
    """One choice in a boot menu, as its file words it. *name* is what a default names; paths are the partition's.

    *program* is an EFI program that is started instead of a kernel, or something else that may start anything.
    """

    name: str
    kernel: str | None = None
    initrds: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    device_tree: str | None = None
    program: str | None = None
    sort: tuple[str, str] = ("", "")


def pairs(config: str) -> list[tuple[str, str]]:
    """Return the keys and values of a file in the specification's syntax; comments and empty lines are left out.

    As systemd-boot reads it: a NUL ends the file, a carriage return a line; only space and tab are blanks.
    """
    found = []
    for line in _BREAK.split(config.partition("\0")[0]):
        stripped = line.strip(_BLANKS)
        if not stripped or stripped.startswith("#"):
            continue
        key, *rest = _SPLIT.split(stripped, maxsplit=1)
        value = rest[0] if rest else ""
        found.append((key, value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value))
    return found


def parse(name: str, config: str) -> LoaderEntry:
    """Parse an entry *name*.conf. Keys that may come twice add up, of the others the last one counts.

    Of `linux` and `efi` in one entry, some releases start the last one and others neither: both are returned.
    """
    entry = [(key, value) for key, value in pairs(config) if value]
    last = dict(entry)
    return LoaderEntry(
        name=_COUNTERS.sub("", name.removesuffix(".conf")) + ".conf",
        kernel=last.get("linux"),
        initrds=tuple(value for key, value in entry if key == "initrd"),
        options=tuple(word for key, value in entry if key == "options" for word in value.split()),
        device_tree=last.get("devicetree"),
        program=last.get("efi") or last.get("uki") or last.get("uki-url"),
        sort=(last.get("sort-key", ""), last.get("version", "")),
    )


def defaults(loader_conf: str) -> tuple[str, ...]:
    """Return the patterns by which loader.conf says what is started, the first that fits an entry first."""
    last = dict(pairs(loader_conf))
    return tuple(last[key] for key in _DEFAULT_KEYS if last.get(key))


def variable(data: bytes) -> str:
    """Return the text of an EFI variable as efivarfs shows it: four bytes of attributes, then UTF-16."""
    return data[4:].decode("utf-16-le", errors="replace").partition("\0")[0]


def next_of(names: dict[str, tuple[str, str]], patterns: tuple[str, ...]) -> str | None:
    """Return which of *names* (with sort key and version) is started next.

    The first of *patterns* that fits decides; of several that fit, and without one, the newest version of the first
    sort key. Not looked at: entries that failed to boot and are passed over, and patterns longer than `MAX_PATTERN`.
    """
    chosen = list(names)
    for pattern in patterns:
        if len(pattern) > MAX_PATTERN:
            continue
        fitting = [name for name in names if fnmatch.fnmatchcase(name.lower(), _pattern(pattern))]
        if fitting:
            chosen = fitting
            break
    # An empty sort key comes last.
    first = min((names[name][0] or "\U0010ffff" for name in chosen), default="")
    newest = [name for name in chosen if (names[name][0] or "\U0010ffff") == first]
    return max(newest, key=lambda name: (_natural(names[name][1]), name), default=None)


def _pattern(pattern: str) -> str:
    lowered = pattern.lower()
    return lowered if lowered.endswith((".conf", ".efi", "*")) else f"{lowered}.conf"


def _natural(version: str) -> tuple[tuple[int, str], ...]:
    parts = _NUMBERS.split(version[:1000])
    return tuple((int(part[:18]), "") if part.isdecimal() and part.isascii() else (-1, part) for part in parts)
