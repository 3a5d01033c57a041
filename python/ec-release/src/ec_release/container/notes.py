"""Notes of a release: what the changelog says of it, and what is installed. Pure.

The format is that of Keep a Changelog 1.1.0: a heading `## [1.2.3] - 2026-11-24` above what changed.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from ec_closure.decoding import excerpt
from ec_release.container.errors import NotesError, VersionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ec_release.container.version import Version

_HEADING = re.compile(r"^## (?P<text>.*?)[ \t]*$", re.MULTILINE)
_RELEASE = re.compile(r"\[(?P<version>[^\]]+)\] - (?P<date>\d{4}-\d{2}-\d{2})(?P<yanked> \[YANKED\])?")
_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_LINKS = re.compile(r"^\[[^\]]+\]: \S+\s*$", re.MULTILINE)


def section(changelog: str, version: Version) -> str:
    """Return what *changelog* says of *version*, without its heading.

    Raises `NotesError` when it says nothing, says it under two headings, without a date, or calls the release off.
    """
    # Code blocks keep their length, so that places stay true; a heading in one is none.
    blanked = _FENCE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), changelog)
    headings = list(_HEADING.finditer(blanked))
    ours = [number for number, match in enumerate(headings) if match["text"].startswith(f"[{version.text}]")]
    if len(ours) != 1:
        raise NotesError(
            f"the changelog has {len(ours)} sections [{version.text}]",
            hint=f"move what is under [Unreleased] to `## [{version.text}] - YEAR-MONTH-DAY`, then tag that commit",
        )
    number = ours[0]
    heading = _RELEASE.fullmatch(headings[number]["text"])
    if heading is None or heading["yanked"]:
        raise NotesError(
            f"this heading cannot be released: {excerpt(headings[number]['text'], 100)}",
            hint=f"## [{version.text}] - YEAR-MONTH-DAY",
        )
    end = headings[number + 1].start() if number + 1 < len(headings) else len(changelog)
    text = _LINKS.sub("", changelog[headings[number].end() : end]).strip()
    if not re.search(r"^- ", text, re.MULTILINE):
        raise NotesError(f"the section [{version.text}] of the changelog lists nothing")
    return text


def check_versions(version: Version, projects: Mapping[str, str]) -> None:
    """Hold *projects*, the texts of all `pyproject.toml` by their paths, to *version*. Raises `VersionError`."""
    if not projects:
        raise VersionError("there is no pyproject.toml", hint="run it at the root of the repository")
    wrong = {}
    for path, text in projects.items():
        try:
            found = tomllib.loads(text).get("project", {}).get("version")
        except tomllib.TOMLDecodeError as error:
            raise VersionError(f"no TOML: {error}", place=path) from error
        if found != version.python:
            wrong[path] = found
    if wrong:
        listed = ", ".join(f"{path} ({found})" for path, found in sorted(wrong.items()))
        raise VersionError(f"{version.tag} is tagged, and these say otherwise: {listed}")


def compose(changes: str, reference: str | None) -> str:
    """Return the notes: what changed, and the one text by which the dashboard's image is installed."""
    if reference is None:
        return f"{changes}\n"
    image = f"### Image of the dashboard\n\nInstalled by its digest, never by a tag:\n\n```text\n{reference}\n```"
    return f"{changes}\n\n{image}\n"
