"""Names of images, as far as they are known. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ec_release.authority.shell import is_open

_TRANSPORT = re.compile(r"(?:docker|oci-registry|registry)://")
_EXPRESSION = re.compile(r"\$\{\{\s*(?P<text>.*?)\s*\}\}", re.DOTALL)
_VARIABLE = re.compile(r"\$\{?(GITHUB_REPOSITORY_OWNER|GITHUB_REPOSITORY)\}?(?![A-Za-z0-9_])")


@dataclass(frozen=True)
class Reference:
    """A name in a registry: *repository* in lower case, then *tag* or *digest* or neither. Parts may be open."""

    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def is_open(self) -> bool:
        """Tell whether the repository cannot be told."""
        return is_open(self.repository) or not self.repository

    @property
    def by_digest(self) -> bool:
        """Tell whether it names bytes: a digest, also one that only the run will know."""
        return bool(self.digest)


def parse(text: str, own: str) -> Reference:
    """Return the reference in *text*; *own* is `owner/name` of the repository, which expressions stand for.

    Not checked: whether a registry would take it.
    """
    holes: list[str] = []

    def hold(match: re.Match[str]) -> str:
        name = match["text"].lower()
        if name == "github.repository_owner":
            return own.partition("/")[0]
        if name == "github.repository":
            return own
        holes.append(match[0])
        return f"\x00{len(holes) - 1}\x00"

    plain = _TRANSPORT.sub("", text.strip())
    plain = _VARIABLE.sub(lambda match: own.partition("/")[0] if match[1].endswith("OWNER") else own, plain)
    plain = _EXPRESSION.sub(hold, plain)
    name, _, digest = plain.partition("@")
    head, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")

    def shown(part: str) -> str:
        return re.sub(r"\x00(\d+)\x00", lambda match: holes[int(match[1])], part)

    return Reference(shown(f"{head}{slash}{last}".lower()), shown(tag), shown(digest))


def repository(pattern: str, own: str) -> str:
    """Return a declared repository, in which `{owner}` stands for the owner, as references have it."""
    return pattern.replace("{owner}", own.partition("/")[0]).replace("{repository}", own).lower()
