"""What can be built and published, as data: a file that is checked, and what of it a run wants.

A target whose runner is empty is switched off. Naming a runner switches it on: a new architecture needs no more.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from ec_closure import config_file
from ec_closure.decoding import excerpt
from ec_closure.record import Line, Record
from ec_release.boot_images.errors import SelectionError, TargetsError

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal["netboot", "iso", "sdimage", "system"]

DEFAULT_FILE = ".forgejo/boot-images.toml"
NETBOOT_FILES = ("initrd", "kernel", "netboot.ipxe")
EVERYTHING = "all"
_MAX_FILE = 256 << 10
_HINT = "docs/boot-images.md describes the file"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_RESULT = {"netboot": "netboot", "iso": "isoImage", "sdimage": "sdImage", "system": "toplevel"}
_SUFFIXES = {"iso": ".iso", "sdimage": ".img.zst"}

Runner = Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9._:-]{0,99})?$(?!\n)")]
Platform = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]+-linux$(?!\n)")]
File = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$(?!\n)")]


class Target(Record, frozen=True, kw_only=True):
    """One system and the image that it is published as.

    *files* are paths inside the build's result. A target of kind ``system`` has none: it is described, not published.
    *runner* is the label of the machines that build it; none switches the target off.
    """

    kind: Kind
    platform: Platform
    runner: Runner
    files: tuple[File, ...] = ()


class Targets(Record, frozen=True, kw_only=True, tag_field="schema", tag="ec-release.boot-images.v1"):
    """All targets by name. *rebuild* are patterns of derivation names that are built anew although a cache has them."""

    rebuild: tuple[Line, ...] = ()
    targets: dict[str, Target]


def read(path: Path) -> Targets:
    """Return the targets that the file *path* lists. Raises `TargetsError`.

    Not checked: whether the flake has these systems, which building them shows.
    """
    data = config_file.read(path, _MAX_FILE, TargetsError)
    found = config_file.decode(data, Targets, what=str(path), error=TargetsError, hint=_HINT)
    if not found.targets:
        raise TargetsError("lists no target", place=str(path), hint=_HINT)
    for name, target in found.targets.items():
        place = f"{path}: targets.{excerpt(name, 80)}"
        if not _NAME.fullmatch(name):
            raise TargetsError("lower case letters, digits, _ and - make a name", place=place)
        _check_files(target, place)
    return found


def attribute(name: str, target: Target) -> str:
    """Return the attribute of the flake whose result is published: what nodes call the system, and its image."""
    return f"nixosConfigurations.{name}.config.system.build.{_RESULT[target.kind]}"


def toplevel(name: str) -> str:
    """Return the attribute of the system itself, which its manifest describes."""
    return f"nixosConfigurations.{name}.config.system.build.toplevel"


def select(targets: Targets, wanted: str) -> dict[str, Target]:
    """Return the targets that *wanted* names, by name and sorted.

    *wanted* holds names or patterns with ``*``, between commas or blanks; empty, or ``all``, is every target that is
    switched on. Raises `SelectionError` for what names nothing, and for a name that is switched off.
    """
    on = {name: target for name, target in sorted(targets.targets.items()) if target.runner}
    words = wanted.replace(",", " ").split() or [EVERYTHING]
    chosen: set[str] = set()
    for word in words:
        if word in targets.targets and word not in on:
            raise SelectionError(
                "is switched off", place=word, hint="name the runner that shall build it in the file of targets"
            )
        matching = {name for name in on if word == EVERYTHING or fnmatchcase(name, word)}
        if not matching:
            known = ", ".join(on) or "none"
            raise SelectionError("names no target", place=excerpt(word, 80), hint=f"switched on are: {known}")
        chosen |= matching
    return {name: on[name] for name in sorted(chosen)}


def named(targets: Targets, name: str) -> Target:
    """Return the target *name*, also one that is switched off: a person may build it. Raises `SelectionError`."""
    try:
        return targets.targets[name]
    except KeyError:
        raise SelectionError(
            "is no target", place=excerpt(name, 80), hint=f"there are: {', '.join(sorted(targets.targets))}"
        ) from None


def extension(target: Target) -> str:
    """Return what the name of the published file ends in, nothing for a system without one."""
    if target.kind == "netboot":
        return ".tar.zst"
    return _SUFFIXES.get(target.kind, "")


def _check_files(target: Target, place: str) -> None:
    if target.kind == "netboot":
        if tuple(sorted(target.files)) != NETBOOT_FILES:
            raise TargetsError(f"a netboot image is {', '.join(NETBOOT_FILES)}", place=place, hint=_HINT)
    elif target.kind == "system":
        if target.files:
            raise TargetsError("a system has no files to publish", place=place, hint=_HINT)
    elif len(target.files) != 1 or not target.files[0].endswith(_SUFFIXES[target.kind]):
        raise TargetsError(f"is one file, …{_SUFFIXES[target.kind]}", place=place, hint=_HINT)
