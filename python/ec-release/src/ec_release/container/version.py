"""Versions of releases: the tag `v1.2.3` or `v1.2.3-rc.1`, and how the same is written in `pyproject.toml`.

Sources: semver.org 2.0.0, of which only these pre-releases are taken; PEP 440 for the other spelling.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ec_closure.decoding import excerpt
from ec_release.container.errors import VersionError

_NUMBER = r"(?:0|[1-9][0-9]{0,8})"
_TAG = re.compile(rf"v({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-(alpha|beta|rc)\.({_NUMBER}))?")
_PYTHON = {"alpha": "a", "beta": "b", "rc": "rc"}
# Sorts after every pre-release.
_FINAL = "~"


@dataclass(frozen=True, order=True)
class Version:
    """A version; versions sort as semver has them. *stage* is `alpha`, `beta`, `rc`, or `~` for a release proper."""

    major: int
    minor: int
    patch: int
    stage: str = _FINAL
    count: int = 0

    @property
    def is_final(self) -> bool:
        """Tell whether it is no pre-release."""
        return self.stage == _FINAL

    @property
    def text(self) -> str:
        """The version without the `v`: `1.2.3-rc.1`."""
        return f"{self.major}.{self.minor}.{self.patch}" + ("" if self.is_final else f"-{self.stage}.{self.count}")

    @property
    def tag(self) -> str:
        """The tag: `v1.2.3-rc.1`."""
        return f"v{self.text}"

    @property
    def python(self) -> str:
        """The version as `pyproject.toml` has it: `1.2.3rc1`."""
        end = "" if self.is_final else f"{_PYTHON[self.stage]}{self.count}"
        return f"{self.major}.{self.minor}.{self.patch}{end}"


def parse(tag: str) -> Version:
    """Read a tag. Raises `VersionError`."""
    match = _TAG.fullmatch(tag)
    if match is None:
        raise VersionError(
            f"{excerpt(tag, 80)!r} is no tag of a release", hint="they are v1.2.3, or v1.2.3-rc.1 (alpha, beta, rc)"
        )
    major, minor, patch, stage, count = match.groups()
    return Version(int(major), int(minor), int(patch), stage or _FINAL, int(count or 0))


def is_release(tag: str) -> bool:
    """Tell whether *tag* is one of a release."""
    return _TAG.fullmatch(tag) is not None
