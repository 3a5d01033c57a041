"""Tags are moved in a real registry, to a digest that is there, and releases keep theirs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from ec_release.container.errors import MovedError, RegistryError
from ec_release.container.promote import promote
from ec_release.container.registry import Repository
from ec_release.container.tags import Tags

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ec_release.container.local_registry import Registry

PATH = "every-channel/runner-dashboard"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def repository(registry: Registry) -> Repository:
    """Return the dashboard's repository in the registry."""
    return Repository(f"{registry.host}/{PATH}")


def release(registry: Registry, tag: str) -> Tags:
    """Return the tags of a release."""
    return Tags(f"{registry.host}/{PATH}", tag, "latest")


def test_both_tags_name_the_digest(registry: Registry) -> None:
    """Byte for byte the manifest that was signed; done again, it changes nothing."""
    digest = registry.push(PATH, "one")
    tags = Tags(f"{registry.host}/{PATH}", f"git-{COMMIT}", "edge")
    for _ in range(2):
        done = promote(repository(registry), digest, tags)

        assert done.reference == f"{registry.host}/{PATH}@{digest}"
        assert (done.tags, done.stayed) == ((f"git-{COMMIT}", "edge"), None)
        assert registry.digest(PATH, f"git-{COMMIT}") == registry.digest(PATH, "edge") == digest


def test_the_edge_moves_on(registry: Registry) -> None:
    """The commit's own tag stays with its image."""
    first, second = registry.push(PATH, "one"), registry.push(PATH, "two")
    for number, digest in enumerate((first, second)):
        promote(repository(registry), digest, Tags(f"{registry.host}/{PATH}", f"git-{number}", "edge"))

    assert registry.digest(PATH, "git-0") == first
    assert registry.digest(PATH, "edge") == second


def test_the_edge_does_not_go_back(registry: Registry) -> None:
    """An old run that is run again names its own commit's tag alone; where the later one has no image yet, it moves."""
    name = f"{registry.host}/{PATH}"
    first, second = registry.push(PATH, "one"), registry.push(PATH, "two")
    assert promote(repository(registry), first, Tags(name, "git-1", "edge"), {"2"}).stayed is None
    assert promote(repository(registry), second, Tags(name, "git-2", "edge")).stayed is None
    done = promote(repository(registry), first, Tags(name, "git-1", "edge"), {"2", "3"})

    assert (done.tags, done.stayed) == (("git-1",), "edge")
    assert registry.digest(PATH, "edge") == second


def test_a_releases_tag_never_moves(registry: Registry) -> None:
    """Whoever tags again is told, and nothing is moved, not even latest."""
    first, second = registry.push(PATH, "one"), registry.push(PATH, "two")
    promote(repository(registry), first, release(registry, "v1.0.0"))
    with pytest.raises(MovedError, match="names sha256"):
        promote(repository(registry), second, release(registry, "v1.0.0"))

    assert registry.digest(PATH, "v1.0.0") == registry.digest(PATH, "latest") == first
    promote(repository(registry), first, release(registry, "v1.0.0"))


def test_latest_does_not_go_back(registry: Registry) -> None:
    """A fix of an old line gets its own tag alone, and says so."""
    digests = {tag: registry.push(PATH, tag) for tag in ("v2.0.0", "v1.0.1", "v2.0.1")}
    stayed = [promote(repository(registry), digest, release(registry, tag)).stayed for tag, digest in digests.items()]

    assert stayed == [None, "latest", None]
    assert registry.digest(PATH, "v1.0.1") == digests["v1.0.1"]
    assert registry.digest(PATH, "latest") == digests["v2.0.1"]


def test_an_image_that_is_not_there_gets_no_tag(registry: Registry) -> None:
    """The error names the repository."""
    registry.push(PATH, "one")
    with pytest.raises(RegistryError, match=PATH):
        promote(repository(registry), f"sha256:{'0' * 64}", Tags(f"{registry.host}/{PATH}", "git-0", "edge"))

    assert repository(registry).digest("git-0") is None


def test_an_empty_repository_has_no_tags(registry: Registry) -> None:
    """The first release is the latest."""
    assert repository(registry).tags() == ()
    assert repository(registry).digest("v1.0.0") is None


def checkout(directory: Path, count: int) -> tuple[Path, list[str]]:
    """Return a clone of a repository with *count* commits on main, and these."""
    top, clone = directory / "repository", directory / "clone"
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.invalid")

    def git(*words: str) -> str:
        return subprocess.run(["git", *who, *words], capture_output=True, text=True, check=True).stdout.strip()

    git("init", "--quiet", "--initial-branch=main", str(top))
    commits = []
    for number in range(count):
        git("-C", str(top), "commit", "--quiet", "--allow-empty", f"--message={number}")
        commits.append(git("-C", str(top), "rev-parse", "HEAD"))
    git("clone", "--quiet", str(top), str(clone))
    return clone, commits


def arguments(registry: str, **changed: str) -> list[str]:
    """Return the command that publishes a release, with some options *changed*."""
    options = {
        "class": "release", "event": "push", "ref": "refs/tags/v1.0.0", "commit": COMMIT, "owner": "every-channel",
        "registry": registry, "digest": f"sha256:{'0' * 64}", **changed,
    }  # fmt: skip
    return ["image-promote", *(word for name, value in options.items() for word in (f"--{name}", value))]


def test_a_registry_that_is_not_there_is_an_error(command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again, and not taken for a repository without tags."""
    if shutil.which("skopeo") is None:
        pytest.skip("there is no skopeo on the PATH")
    monkeypatch.setattr("ec_release.container.registry._WAIT", 0.0)
    code, out, err = command(*arguments("127.0.0.1:1"))

    assert (code, out) == (3, "")
    assert err.count("stamina.retry_scheduled") == 2
    assert "connection refused" in err


def test_the_command_says_what_to_install(
    registry: Registry, command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the run's page, for later steps, and on standard output."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    digest = registry.push(PATH, "one")
    source, (commit,) = checkout(tmp_path, 1)
    changed = {"class": "ci", "ref": "refs/heads/main", "digest": digest, "owner": "Every-Channel", "commit": commit}
    code, out, err = command(*arguments(registry.host, **changed, source=str(source)), "--json")
    reference = f"{registry.host}/{PATH}@{digest}"

    assert (code, err) == (0, "")
    assert json.loads(out) == {"reference": reference, "tags": [f"git-{commit}", "edge"], "stayed": "none"}
    assert f"```text\n{reference}\n```" in (tmp_path / "summary").read_text()
    assert reference in (tmp_path / "output").read_text()


def test_the_command_asks_the_history(registry: Registry, command: Callable[..., Any], tmp_path: Path) -> None:
    """Of three commits the second's image is made anew when the third has one: edge stays. Without history it fails."""
    source, commits = checkout(tmp_path, 3)
    digests = {commit: registry.push(PATH, commit) for commit in commits[1:]}
    usual = {"class": "ci", "ref": "refs/heads/main"}
    results = [
        command(*arguments(registry.host, **usual, commit=one, digest=digests[one], source=str(source)), "--json")
        for one in (*commits[1:], commits[1])
    ]

    assert [json.loads(out)["stayed"] for _, out, _ in results] == ["none", "none", "edge"]
    assert registry.digest(PATH, "edge") == digests[commits[2]]
    unknown = {**usual, "digest": digests[commits[1]], "source": str(source), "commit": COMMIT}
    code, out, err = command(*arguments(registry.host, **unknown))
    assert (code, out) == (2, "")
    assert "fetch-depth: 0" in err
    assert registry.digest(PATH, "edge") == digests[commits[2]]


def fake_skopeo(directory: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a skopeo of ours on the PATH."""
    (directory / "skopeo").write_text(f"#!/bin/sh\n{script}\n")
    (directory / "skopeo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    monkeypatch.setattr("ec_release.container.registry._WAIT", 0.0)


def test_a_proxy_that_finds_nothing_does_not_let_a_release_move(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What passes may be said in the words for what is absent: it is tried again, and no tag counts as free."""
    script = f"echo $1 >> {tmp_path}/calls; echo 'received unexpected HTTP status: 503 upstream not found' >&2; exit 1"
    fake_skopeo(tmp_path, monkeypatch, script)
    code, out, err = command(*arguments("127.0.0.1:1"))

    assert (code, out) == (3, "")
    assert "503 upstream not found" in err
    assert (tmp_path / "calls").read_text().split() == ["inspect"] * 3


def test_skopeo_gets_no_token_of_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the auth file of the login, and needs nothing else."""
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    fake_skopeo(tmp_path, monkeypatch, f"env > {tmp_path}/seen; echo '{{\"Tags\": []}}'")

    assert Repository(f"127.0.0.1:1/{PATH}").tags() == ()
    assert "secret" not in (tmp_path / "seen").read_text()


@pytest.mark.parametrize("changed", [{"digest": "latest"}, {"class": "ci"}, {"ref": "refs/heads/main"}])
def test_what_is_no_digest_or_no_event_is_refused(
    registry: Registry, command: Callable[..., Any], changed: dict[str, str]
) -> None:
    """Nothing is named."""
    code, out, _ = command(*arguments(registry.host, **changed))

    assert (code, out) == (2, "")


def test_without_skopeo_the_hint_says_where_it_is(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine is at fault."""
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = command(*arguments("127.0.0.1:1"))

    assert code == 3
    assert "nix develop" in err
