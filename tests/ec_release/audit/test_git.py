"""The public repository is read by a stranger: hostile ones lead nowhere, and signatures of tags count as asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from ec_release.audit.checking import NotDone
from ec_release.audit.git import PublicRepository
from ec_release.closure.errors import SourceError

from .conftest import Repository, served

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Give a public repository of one commit."""
    made = Repository(tmp_path / "origin")
    made.commit(file__txt=b"text\r\n")
    made.git("tag", "v1")
    return made


def opened(repository: Repository, tmp_path: Path, name: str = "scratch") -> PublicRepository:
    """Read it as an auditor does."""
    (tmp_path / name).mkdir()
    reading = PublicRepository(str(repository.path), tmp_path / name)
    reading.read()
    return reading


def test_blobs_come_out_as_they_were_committed(repository: Repository, tmp_path: Path) -> None:
    """No line ending, keyword or filter makes a difference between auditors."""
    (repository.path / ".gitattributes").write_text("*.txt text eol=lf filter=x export-subst\nhidden export-ignore\n")
    (repository.path / "hidden").write_bytes(b"$Format:%H$")
    repository.git("rm", "--cached", "--quiet", "file.txt")
    blob = repository.git("hash-object", "-w", "--stdin", "--no-filters", stdin=b"text\r\n")
    repository.git("add", ".gitattributes", "hidden")
    repository.git("update-index", "--add", "--cacheinfo", f"100644,{blob},file.txt")
    repository.git("commit", "--quiet", "--message", "x")
    opened(repository, tmp_path).export(repository.git("rev-parse", "HEAD"), tmp_path / "out")

    assert (tmp_path / "out/file.txt").read_bytes() == b"text\r\n"
    assert (tmp_path / "out/hidden").read_bytes() == b"$Format:%H$"


def test_neither_hooks_nor_configuration_of_the_user_run(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the auditor's own git would do on every fetch is not done."""
    mark = tmp_path / "mark"
    templates = tmp_path / "templates/hooks"
    templates.mkdir(parents=True)
    for name in ("post-checkout", "reference-transaction", "post-update"):
        (templates / name).write_text(f"#!/bin/sh\ntouch {mark}\n")
        (templates / name).chmod(0o755)
    home = tmp_path / "user"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f"[init]\n\ttemplateDir = {templates.parent}\n[core]\n\thooksPath = {templates}\n"
        f'[url "{tmp_path}/elsewhere"]\n\tinsteadOf = {repository.path}\n'
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    monkeypatch.setenv("GIT_SSH_COMMAND", f"touch {mark}")
    reading = opened(repository, tmp_path)

    assert reading.commit_of("v1") == repository.git("rev-parse", "HEAD")
    assert not mark.exists()


def test_a_repository_on_a_web_server_is_read(repository: Repository, tmp_path: Path) -> None:
    """As most strangers read it."""
    repository.git("update-server-info")
    with served(repository.path) as base:
        (tmp_path / "scratch").mkdir()
        reading = PublicRepository(f"{base}.git", tmp_path / "scratch")
        reading.read()

    assert reading.commit_of("v1") == repository.git("rev-parse", "HEAD")


def test_submodules_are_refused(repository: Repository, tmp_path: Path) -> None:
    """Nodes have none: the source would be another."""
    commit = repository.git("rev-parse", "HEAD")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},module")
    repository.git("commit", "--quiet", "--message", "x")
    with pytest.raises(SourceError, match="submodule"):
        opened(repository, tmp_path).export(repository.git("rev-parse", "HEAD"), tmp_path / "out")


@pytest.mark.parametrize("name", [b"..", b".git", b"."])
def test_a_tree_that_leads_elsewhere_does_not_arrive(repository: Repository, tmp_path: Path, name: bytes) -> None:
    """Objects are checked as they come."""
    blob = repository.git("hash-object", "-w", "--stdin", stdin=b"x")
    inner = repository.git("mktree", stdin=f"100644 blob {blob}\tx\n".encode())
    raw = b"40000 " + name + b"\0" + bytes.fromhex(inner)
    tree = repository.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)
    commit = repository.git("commit-tree", "-m", "x", tree)
    repository.git("update-ref", "refs/tags/evil", commit)
    with pytest.raises(NotDone, match="cannot be read"):
        opened(repository, tmp_path)


def test_a_commit_is_named_in_full(repository: Repository, tmp_path: Path) -> None:
    """A branch, a tag or an abbreviation is no commit that anybody signed."""
    reading = opened(repository, tmp_path)
    commit = repository.git("rev-parse", "HEAD")

    assert reading.holds(commit)
    assert not any(reading.holds(name) for name in ("main", "v1", commit[:12], "HEAD", "--all", "0" * 40))


def key(directory: Path, name: str) -> Path:
    """Make a key to sign tags with."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", directory / name], check=True)
    return directory / name


def signed_tag(repository: Repository, tag: str, with_key: Path) -> None:
    """Make a signed tag in the place of the one that is there."""
    repository.git(
        *("-c", "gpg.format=ssh", "-c", f"user.signingKey={with_key}", "tag", "--force", "--sign", "-m", "x", tag)
    )


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen on the PATH to sign tags with")
class TestTagSignatures:
    """What of a tag's signature counts."""

    @pytest.fixture
    def signers(self, tmp_path: Path) -> tuple[Path, Path]:
        """Give the key of a release manager, and the file that allows it."""
        made = key(tmp_path, "manager")
        allowed = tmp_path / "allowed"
        allowed.write_text(f"manager@example.org {made.with_suffix('.pub').read_text()}")
        return made, allowed

    def test_an_allowed_signer_is_named(self, audited: Any, signers: tuple[Path, Path]) -> None:
        """Who signed stands in the result."""
        signed_tag(audited.public, "v1", signers[0])
        code, result = audited.audit("--allowed-signers", signers[1])

        assert code == 0
        assert "manager@example.org" in result["checks"][-1]["detail"]

    def test_a_tag_without_signature_fails(self, audited: Any, signers: tuple[Path, Path]) -> None:
        """The auditor asked for one."""
        assert "carries no signature" in audited.failing("--allowed-signers", signers[1])["tag-signature"][0]

    def test_an_annotated_tag_without_signature_fails(self, audited: Any, signers: tuple[Path, Path]) -> None:
        """A message is no signature."""
        audited.public.git("tag", "--force", "--annotate", "-m", "x", "v1")

        assert set(audited.failing("--allowed-signers", signers[1])) == {"tag-signature"}

    def test_a_stranger_who_signs_fails(self, audited: Any, signers: tuple[Path, Path], tmp_path: Path) -> None:
        """Validly, with a key that nobody allowed."""
        signed_tag(audited.public, "v1", key(tmp_path, "stranger"))

        assert set(audited.failing("--allowed-signers", signers[1])) == {"tag-signature"}

    def test_a_signature_for_another_tag_fails(self, audited: Any, signers: tuple[Path, Path]) -> None:
        """Whoever runs the forge can put one signed tag under the name of another."""
        signed_tag(audited.public, "v0", signers[0])
        audited.public.git("update-ref", "refs/tags/v1", audited.public.git("rev-parse", "refs/tags/v0"))

        assert audited.failing("--allowed-signers", signers[1]) == {
            "tag-signature": ["the tag v1 was made under the name v0"]
        }


def test_what_git_is_given_is_nothing_of_the_users(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither agent nor askpass nor proxy: an auditor with rights of their own is no stranger."""
    seen = tmp_path / "seen"
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "git").write_text(f'#!/bin/sh\nenv > {seen}\nexec {shutil.which("git")} "$@"\n')
    (fake / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake}:{os.environ['PATH']}")
    for name in ("SSH_AUTH_SOCK", "GIT_ASKPASS", "GIT_DIR", "GIT_CONFIG_COUNT", "HTTPS_PROXY", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, "/nowhere")
    opened(repository, tmp_path)
    names = {line.partition("=")[0] for line in seen.read_text().splitlines()}

    assert "GIT_CONFIG_NOSYSTEM" in names
    assert not names & {"SSH_AUTH_SOCK", "GIT_ASKPASS", "GIT_DIR", "GIT_CONFIG_COUNT", "HTTPS_PROXY", "GITHUB_TOKEN"}
