"""What documents say of files, programs and options is so."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MARKDOWN = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "-z", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    if name and (ROOT / name).is_file()
]
# For operators: what they show is typed.
OPERATORS = [
    ROOT / "RUNNER_IMAGES.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("boot-images", "flake-images", "installing", "upgrading")),
]

FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (?P<text>.+)$", re.MULTILINE)
# In a code block or between backticks, up to what ends a command
COMMAND = re.compile(
    r"(?<![\w./-])(?P<program>ec-(?:install|netboot|provision|release|verify))(?![\w.-])(?P<rest>(?: [^`\n|&;#]+)?)"
)
OPTION = re.compile(r"(?<!\S)--?[a-z][a-z0-9-]*")
WORD = re.compile(r"[a-z][a-z-]*")


def slug(heading: str) -> str:
    """Return the anchor that forges give a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")


def anchors(file: Path) -> set[str]:
    """Return the anchors of a document."""
    return {slug(match["text"]) for match in HEADING.finditer(FENCE.sub("", file.read_text()))}


def broken_links(file: Path) -> list[str]:
    """Return the relative links of *file* that lead nowhere."""
    broken = []
    for match in LINK.finditer(FENCE.sub("", file.read_text())):
        path, _, anchor = match["target"].partition("#")
        target = file.parent / path if path else file
        if "://" in match["target"] or path.startswith("mailto:"):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(match["target"])
    return broken


@pytest.mark.parametrize("file", MARKDOWN, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(file: Path) -> None:
    """A document that was renamed, or a heading that was reworded, takes its links along."""
    assert broken_links(file) == []


# In comments, docstrings and messages; a decision may be named by its number alone.
NAMED = re.compile(r"(?<![\w./-])docs/(?:decisions/(?P<number>\d{4})(?![\w-])|[\w./-]+\.md\b(?:#(?P<anchor>[\w-]+))?)")


def named_in_vain(file: Path, text: str) -> list[str]:
    """Return the documents that *text*, of *file*, names and that are not there."""
    found = []
    for match in NAMED.finditer(text):
        path = ROOT / match[0].partition("#")[0]
        there = any(path.parent.glob(f"{match['number']}-*.md")) if match["number"] else path.is_file()
        if not there or (match["anchor"] and match["anchor"] not in anchors(path)):
            found.append(f"{file.relative_to(ROOT)}: {match[0]}")
    return found


def test_documents_that_are_named_are_there() -> None:
    """Whoever reads a comment finds what it speaks of: in programs, workflows, modules and scripts."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name and not name.startswith("tests/")]
    missing = [
        line
        for file in files
        if file.is_file()
        for line in named_in_vain(file, file.read_bytes().decode(errors="replace"))
    ]

    assert missing == []


def test_a_document_that_is_named_in_vain_is_found() -> None:
    """By its path, its heading, or a decision's number; part of another path is none."""
    text = (
        "see docs/trust.md, docs/decisions/0013 and docs/gone.md; docs/trust.md#gone, docs/decisions/9999, mydocs/x.md"
    )

    assert named_in_vain(ROOT / "x", text) == ["x: docs/gone.md", "x: docs/trust.md#gone", "x: docs/decisions/9999"]


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    """To a file, and to a heading of a file that is there; what stands in a code block is no link."""
    (tmp_path / "there.md").write_text("# It's `here`: now\n```text\n# comment\n```\n")
    here = tmp_path / "here.md"
    here.write_text(
        "[a](there.md) [b](there.md#its-here-now) [c](there.md#comment) [d](gone.md) [e](#none)\n"
        "```text\n[f](gone.md)\n```\n[g](https://example.org/#x)\n"
    )

    assert broken_links(here) == ["there.md#comment", "gone.md", "#none"]


def commands(text: str) -> list[tuple[str, ...]]:
    """Return the commands of ours that *text* shows: words up to the first that is none, then options."""
    code = [match[0] for match in FENCE.finditer(text)] + re.findall(r"`[^`\n]+`", FENCE.sub("", text))
    found = []
    for match in (match for block in code for match in COMMAND.finditer(block)):
        words: list[str] = []
        for word in match["rest"].split():
            if not WORD.fullmatch(word) or len(words) == 2:
                break
            words.append(word)
        options = [option for option in OPTION.findall(match["rest"]) if option != "--"]
        found.append((match["program"], *words, *options))
    return found


@cache
def help_of(program: str, *words: str) -> str:
    """Return what a command says of itself, or nothing where there is none: programs then tell what they do have."""
    path = ROOT / "nixos" / "install" / program if program == "ec-install" else Path(sys.executable).parent / program
    done = subprocess.run([path, *words, "--help"], check=False, capture_output=True, text=True)
    found = re.match(rf"usage: {re.escape(' '.join((program, *words)))}(?![\w-])", done.stdout.lstrip(), re.IGNORECASE)
    return done.stdout if done.returncode == 0 and found else ""


@pytest.mark.parametrize("file", OPERATORS, ids=lambda file: file.name)
def test_commands_and_options_exist(file: Path) -> None:
    """What an operator copies at three in the morning is not refused."""
    shown = commands(file.read_text())
    unknown = []
    for program, *rest in shown:
        words = [word for word in rest if not word.startswith("-")]
        text = help_of(program, *words)
        missing = [option for option in rest if option.startswith("-") and not re.search(rf"(?<!\S){option}\b", text)]
        if not text or missing:
            unknown.append((program, *rest))

    assert shown
    assert unknown == []


def test_what_is_shown_is_read_as_it_is_typed() -> None:
    """Subcommands and options are told apart; names of units and files are no commands."""
    text = "```console\n$ ec-release trust show --directory site | grep x\n# systemctl start ec-verify-bytes\n```\n"
    text += "`ec-verify explain EV113`, `ec-install --disk X --yes`, ec-verify --prose, `/run/ec-verify/x`, `ec-verify`"

    assert commands(text) == [
        ("ec-release", "trust", "show", "--directory"),
        ("ec-verify", "explain"),
        ("ec-install", "--disk", "--yes"),
        ("ec-verify",),
    ]


def test_an_option_that_is_not_there_is_found() -> None:
    """The help is asked, of a program and of a command of a program."""
    assert "--keep-var" in help_of("ec-install")
    assert "--keep-vars" not in help_of("ec-install")
    assert "--json" in help_of("ec-provision", "show")
    assert help_of("ec-provision", "shew") == ""


def test_every_option_of_the_installer_is_documented() -> None:
    """What can be said to it is in the table of docs/installing.md."""
    offered = set(re.findall(r"^  (--[a-z-]+)", help_of("ec-install"), re.MULTILINE))
    table = re.findall(r"^\| (`--.+?) \|", (ROOT / "docs" / "installing.md").read_text(), re.MULTILINE)

    assert offered
    assert offered == {option for row in table for option in re.findall(r"--[a-z-]+", row)}
