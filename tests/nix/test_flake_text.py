"""What the flake's files may not say: each of these makes a node evaluate to something else than CI did."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def git(*arguments: str) -> list[str]:
    """Return what git prints, cut at its NULs."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return [part for part in done.stdout.split("\0") if part]


NIX = [ROOT / name for name in git("ls-files", "-z", "flake.nix", "nixos/*.nix") if (ROOT / name).exists()]
ALL_NIX = [ROOT / name for name in git("ls-files", "-z", "*.nix") if (ROOT / name).exists()]
COMMENT = re.compile(r"(^|\s)#.*")

FORBIDDEN = {
    "the revision": r"\b(self|inputs|flake)\b[\w.]*\.(rev|shortRev|dirtyRev|dirtyShortRev|revCount|lastModified\w*)\b",
    "the revision, inherited": r"\binherit \((inputs\.)?self\)[^;]*\b(rev|shortRev|lastModified\w*|revCount|narHash)\b",
    "what the source came from": r"\bsourceInfo\b|\bsubmodules\b",
    "the clock or the machine": r"\bcurrentTime\b|\bcurrentSystem\b|\bgetEnv\b|\bunsafeGetAttrPos\b|\bnixPath\b",
    "a search path": r"<[a-zA-Z][\w./+-]*>",
    "a source that no lock names": r"\bfetchTarball\b|\bfetchTree\b|\bbuiltins\.fetch\w+|\bgetFlake\b",
    "Nix settings that a node does not read": r"\bnixConfig\b|\b__impure\b|\b__noChroot\b|\bbuiltins\.exec\b",
    "a path outside": r"\bbuiltins\.storePath\b|\bimportNative\b",
    # What `readFile` and `import` are given: a path of this tree or of an input, never a derivation.
    "a derivation's contents": r"\b(readFile|readDir|import)\s+(\(?\s*|\"?\$\{)(pkgs|final|prev)\.",
    # The whole tree, so that any file of it changes what is built
    "the whole tree as a source": r"\bsrc\s*=\s*(self|inputs\.self|\.\./\.\.|\./\.|\.\.)\s*;",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_reads(what: str) -> None:
    """Not by accident either: comments may say it."""
    pattern = re.compile(FORBIDDEN[what])
    found = [
        f"{file.relative_to(ROOT)}:{number}: {match[0]}"
        for file in NIX
        for number, line in enumerate(file.read_text().splitlines(), 1)
        for match in pattern.finditer(COMMENT.sub("", line))
    ]

    assert [] == found


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("the revision", "label = inputs.self.shortRev or null;"),
        ("the revision", "self.sourceInfo.lastModifiedDate"),
        ("the revision, inherited", "inherit (self) outPath narHash;"),
        ("what the source came from", "self.sourceInfo.outPath"),
        ("the clock or the machine", "system ? builtins.currentSystem"),
        ("a search path", "import <nixpkgs/nixos> { }"),
        ("a source that no lock names", "builtins.fetchGit ./."),
        ("Nix settings that a node does not read", "nixConfig.extra-substituters = [ ];"),
        ("a derivation's contents", "builtins.readFile pkgs.hello.src"),
        ("a derivation's contents", 'import "${pkgs.writeText "x" ""}"'),
        ("the whole tree as a source", "src = ../..;"),
    ],
)
def test_the_patterns_find_what_they_are_for(what: str, line: str) -> None:
    """A pattern that matches nothing would hold nothing."""
    assert re.search(FORBIDDEN[what], line)


def test_there_is_something_to_look_at() -> None:
    """The list is not empty by mistake."""
    assert ROOT / "flake.nix" in NIX
    assert len(NIX) > 20


def test_the_lock_is_final() -> None:
    """Every input with hash, revision and date: nothing is left to find on a node (P24, P26)."""
    nodes = json.loads((ROOT / "flake.lock").read_text())["nodes"]
    locked = {name: node["locked"] for name, node in nodes.items() if name != "root"}

    assert {"nixpkgs", "pyproject-nix"} == locked.keys()
    for name, node in locked.items():
        assert re.fullmatch(r"sha256-[A-Za-z0-9+/]{43}=", node["narHash"]), name
        assert re.fullmatch(r"[0-9a-f]{40}", node["rev"]), name
        assert node["lastModified"] > 1_700_000_000, name
        # One nixpkgs: what an input would bring itself follows ours.
        assert all(isinstance(follows, list) for follows in nodes[name].get("inputs", {}).values()), name


def test_git_gives_out_what_it_was_given() -> None:
    """Attributes that rewrite files give a repository and an export different hashes (P28)."""
    names = "\0".join(git("ls-files", "-z"))
    done = subprocess.run(
        ["git", "check-attr", "--all", "-z", "--stdin"],
        cwd=ROOT,
        input=names,
        check=True,
        capture_output=True,
        text=True,
    )
    fields = done.stdout.split("\0")
    changing = {"export-subst", "export-ignore", "filter", "ident", "text", "eol", "crlf", "working-tree-encoding"}

    assert [] == [triple for triple in zip(*[iter(fields)] * 3, strict=False) if triple[1] in changing]


def test_nothing_that_is_tracked_is_ignored() -> None:
    """A flake sees what is tracked; who lists files by .gitignore sees something else."""
    assert [] == git("ls-files", "-z", "--cached", "--ignored", "--exclude-standard")


def test_the_tree_holds_files_alone() -> None:
    """No submodules, which Nix leaves out or not by its release, and no link that leads out of the tree."""
    for line in git("ls-files", "-z", "--stage"):
        meta, _, name = line.partition("\t")
        mode = meta.split()[0]
        assert mode in ("100644", "100755", "120000"), line
        if mode == "120000":
            assert (ROOT / name).resolve().is_relative_to(ROOT), f"{name} leads out of the tree"


def test_lines_end_as_git_stores_them() -> None:
    """A carriage return would be part of a string of Nix."""
    assert [] == [file for file in ALL_NIX if b"\r" in file.read_bytes()]


def test_files_are_formatted() -> None:
    """As `nix fmt` writes them, where nixfmt is installed."""
    if shutil.which("nixfmt") is None:
        pytest.skip("there is no nixfmt on the PATH")
    ours = [file for file in ALL_NIX if not file.is_relative_to(ROOT / "python")]
    done = subprocess.run(["nixfmt", "--check", *ours], capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout + done.stderr
