"""Notes of a release: the changelog's section, or a refusal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ec_release.container import notes, version
from ec_release.container.errors import NotesError, VersionError

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[3]
CHANGELOG = """# Changelog

## [Unreleased]

- Not yet.

## [1.2.3] - 2026-11-24

### Added

- Something, see [1.2.2].

```text
## [9.9.9] - 2026-01-01
```

- And more.

## [1.2.2] - 2026-11-01

- Before.

[1.2.2]: https://example.org/compare
"""
V = version.parse("v1.2.3")
REFERENCE = f"ghcr.io/every-channel/runner-dashboard@sha256:{'ab' * 32}"


def test_a_section_is_what_stands_between_headings() -> None:
    """A heading in a code block is none."""
    text = notes.section(CHANGELOG, V)

    assert text.startswith("### Added\n\n- Something")
    assert text.endswith("- And more.")
    assert "## [9.9.9]" in text


def test_the_last_section_ends_with_the_file() -> None:
    """Without the links that stand there."""
    assert notes.section(CHANGELOG, version.parse("v1.2.2")) == "- Before."


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("[1.2.3] - 2026-11-24", "[1.2.4] - 2026-11-24"),
        ("[1.2.3] - 2026-11-24", "[1.2.3]"),
        ("[1.2.3] - 2026-11-24", "[1.2.3] - soon"),
        ("[1.2.3] - 2026-11-24", "[1.2.3] - 2026-11-24 [YANKED]"),
        ("[1.2.3] - 2026-11-24", "1.2.3 - 2026-11-24"),
        ("[1.2.2] - 2026-11-01", "[1.2.3] - 2026-11-01"),
        ("- Something, see [1.2.2].", "Nothing."),
    ],
)
def test_a_changelog_that_says_nothing_is_refused(good: str, bad: str) -> None:
    """No section, no date, called off, twice, or empty."""
    wrong = CHANGELOG.replace(good, bad)
    if bad == "Nothing.":
        wrong = wrong.replace("- And more.", "")
    with pytest.raises(NotesError):
        notes.section(wrong, V)


def test_what_is_unreleased_is_no_release() -> None:
    """Not even for whoever tags it so: it is no version."""
    with pytest.raises(VersionError):
        version.parse("Unreleased")


def test_our_changelog_has_the_form() -> None:
    """Its unreleased part would be released by giving it a version and a date."""
    text = (ROOT / "CHANGELOG.md").read_text().replace("## [Unreleased]", "## [7.7.7] - 2026-12-01")

    assert notes.section(text, version.parse("v7.7.7")).startswith("### ")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a repository whose changelog and versions agree."""
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    for name in ("", "app", "python/a", "python/b"):
        file = tmp_path / name / "pyproject.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('[project]\nname = "x"\nversion = "1.2.3"\n')
    return tmp_path


def test_notes_say_what_to_install(command: Command, tree: Path) -> None:
    """By digest, and without one only what changed."""
    code, out, err = command("notes", "v1.2.3", "--source", tree, "--reference", REFERENCE)

    assert (code, err) == (0, "")
    assert out.endswith(f"```text\n{REFERENCE}\n```\n")
    assert "- And more." in out
    assert REFERENCE not in command("notes", "v1.2.3", "--source", tree)[1]


def test_notes_go_to_a_file(command: Command, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole or not at all; later steps learn whether it is a pre-release."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(tree / "output"))
    code, out, _ = command("notes", "v1.2.3", "--source", tree, "--output", tree / "notes.md")

    assert (code, out) == (0, "")
    assert (tree / "notes.md").read_text().startswith("### Added")
    assert (tree / "output").read_text().splitlines()[1] == "false"


@pytest.mark.parametrize("project", ["", "app", "python/b"])
def test_versions_that_disagree_are_refused(command: Command, tree: Path, project: str) -> None:
    """Any distribution's, named."""
    (tree / project / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1.2.2"\n')
    code, out, err = command("notes", "v1.2.3", "--source", tree)

    assert (code, out) == (2, "")
    assert f"{project}/pyproject.toml (1.2.2)".lstrip("/") in err


def test_a_version_is_spelled_as_python_has_it(command: Command, tree: Path) -> None:
    """A pre-release is `1.2.3rc1` there and `1.2.3-rc.1` in the changelog."""
    for file in [tree / "pyproject.toml", *tree.glob("*/pyproject.toml"), *tree.glob("python/*/pyproject.toml")]:
        file.write_text('[project]\nname = "x"\nversion = "1.2.3rc1"\n')
    (tree / "CHANGELOG.md").write_text(CHANGELOG.replace("[1.2.3]", "[1.2.3-rc.1]"))

    assert command("notes", "v1.2.3-rc.1", "--source", tree)[0] == 0
    assert command("notes", "v1.2.3", "--source", tree)[0] == 2


def test_an_image_by_tag_is_refused(command: Command, tree: Path) -> None:
    """It would be something else tomorrow."""
    code, _, err = command(
        "notes", "v1.2.3", "--source", tree, "--reference", "ghcr.io/every-channel/runner-dashboard:latest"
    )

    assert code == 2
    assert "by its digest" in err


@pytest.mark.parametrize("missing", ["CHANGELOG.md", "pyproject.toml", "app", "python"])
def test_outside_a_repository_nothing_is_released(command: Command, tmp_path: Path, missing: str) -> None:
    """No file is taken for an agreeing one."""
    code, _, err = command("notes", "v1.2.3", "--source", tmp_path / missing)

    assert code == 2
    assert "root of the repository" in err
