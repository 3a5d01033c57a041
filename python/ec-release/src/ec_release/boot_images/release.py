"""What follows from a commit: the tag of its release, the release's version, the names of its files.

The version is the commit's time in seconds since 1970: the same for whoever looks, and growing along a branch. Nothing
here reads a clock (docs/decisions/0028).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ec_closure.decoding import excerpt
from ec_release.boot_images.errors import TagError
from ec_release.closure.source import commit_of_tag

if TYPE_CHECKING:
    from ec_release.closure.source import Commit

PREFIX = "boot-v"
SHORT = 12
_TAG = re.compile(rf"{PREFIX}[0-9A-Za-z][0-9A-Za-z._+~-]{{0,99}}")
_TAG_REF = "refs/tags/"


@dataclass(frozen=True)
class ImageRelease:
    """A release of boot images: its *tag*, its *version*, and the commit that it is made from."""

    tag: str
    version: int
    rev: str

    @property
    def short(self) -> str:
        """The revision as it stands in names of files."""
        return self.rev[:SHORT]

    def asset(self, system: str, extension: str) -> str:
        """Return what the image of *system* is called: it says which release and which commit it comes from."""
        return f"{system}-{self.tag}-{self.short}{extension}"


def of(commit: Commit, *, wanted: str = "", ref: str = "") -> ImageRelease:
    """Return the release of *commit*.

    Its tag is that of *ref* (``refs/tags/…``, what a pushed tag started), else *wanted*, else the commit's time in UTC:
    ``boot-v2026.11.24-155300``. Raises `TagError` for two tags, a tag of another kind, and one that the
    repository has on another commit.
    """
    pushed = ref.removeprefix(_TAG_REF) if ref.startswith(_TAG_REF) else ""
    if pushed and wanted and pushed != wanted:
        raise TagError(f"is the tag that was pushed, and {excerpt(wanted, 80)} is asked for", place=excerpt(pushed, 80))
    tag = pushed or wanted or _made(commit)
    check(tag)
    if commit.git is not None:
        held = commit_of_tag(commit.git, tag)
        if held is not None and held != commit.rev:
            raise TagError(
                f"is commit {held[:SHORT]}, and {commit.rev[:SHORT]} is checked out",
                place=tag,
                hint="check out the tag, or use a new one: a tag keeps its commit",
            )
    return ImageRelease(tag, commit.issued, commit.rev)


def check(tag: str) -> None:
    """Refuse what cannot be the tag of a release of boot images. Raises `TagError`."""
    if not _TAG.fullmatch(tag):
        raise TagError(
            "is no tag of boot images", place=excerpt(tag, 80), hint=f"{PREFIX} and then letters, digits and ._+~-"
        )


def _made(commit: Commit) -> str:
    return f"{PREFIX}{datetime.fromtimestamp(commit.issued, UTC):%Y.%m.%d-%H%M%S}"
