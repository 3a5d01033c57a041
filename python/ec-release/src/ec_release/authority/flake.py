"""What the flake's sources say of outputs and of what CI does with them, as far as a text tells. Pure.

Nix is not evaluated: a name counts as an output when it stands as a word in the list of packages. CI asks the flake
itself before it pushes (`ec-release matrix`); this looks at the same lines before anything runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_release.authority.sources import Place

if TYPE_CHECKING:
    from ec_release.authority.sources import Files

_OUTPUTS = ("flake.nix", "nixos/packages/outputs.nix")
_IMAGE = re.compile(r"(?<![\w.$/-])([a-z][\w-]*-image)(?![\w-])")
_PUBLISH = re.compile(r"\bci\.publish\s*=\s*(\w+)|\bci\s*=\s*\{[^}]*?\bpublish\s*=\s*(\w+)", re.DOTALL)


@dataclass(frozen=True)
class Flake:
    """The sources of the flake among *files*."""

    files: Files

    def sources(self) -> list[str]:
        """Return the paths of Nix's files."""
        return [path for path in sorted(self.files.texts) if path.endswith(".nix")]

    def text(self, path: str) -> str:
        """Return a file with comments and texts blanked: what stands there is said, not done."""
        return _blanked(self.files.text(path))

    def images(self) -> dict[str, Place]:
        """Return the outputs that are images, by name, with where they are listed."""
        found: dict[str, Place] = {}
        for path in _OUTPUTS:
            if path in self.files.texts:
                text = self.text(path)
                for match in _IMAGE.finditer(text):
                    found.setdefault(match[1], Place(path, text.count("\n", 0, match.start()) + 1))
        return found

    def mentions(self, name: str) -> Place | None:
        """Return where an output of that name is listed or made."""
        word = re.compile(rf"(?<![\w./-]){re.escape(name)}(?![\w-])")
        for path in (*_OUTPUTS, *self.sources()):
            if path in self.files.texts:
                text = self.text(path)
                match = word.search(text)
                if match:
                    return Place(path, text.count("\n", 0, match.start()) + 1)
        return None

    def publish(self, path: str) -> tuple[str, Place]:
        """Return what a file says as `meta.ci.publish`, and where; empty when it says nothing."""
        if path not in self.files.texts:
            return "", Place(path, 1)
        text = self.text(path)
        found = [(match[1] or match[2], text.count("\n", 0, match.start()) + 1) for match in _PUBLISH.finditer(text)]
        worst = next((one for one in found if one[0] != "false"), found[0] if found else ("", 1))
        return worst[0], Place(path, worst[1])


def _blanked(text: str) -> str:
    """Return *text* with comments, and texts between quotes, as blanks of the same length."""
    pattern = re.compile(r"/\*.*?\*/|#[^\n]*|\"(?:[^\"\\]|\\.)*\"|''(?:[^']|'(?!')|'''|''\$|''\\.)*''", re.DOTALL)
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
