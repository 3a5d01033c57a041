"""What the runner tells, and what it means for pushing; and what a registry's failures mean."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ec_release import program
from ec_release.images import event, registry
from ec_release.images.errors import DeniedError, EventError, NamingError, RefusedError, RegistryError

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def told(tmp_path: Path, payload: Any, **variables: str) -> event.Event:
    """Return the event that a runner with these variables and this payload tells."""
    (tmp_path / "event.json").write_bytes(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    usual = {"EVENT_NAME": "push", "REPOSITORY": "a/b", "SHA": COMMIT, "REF": "refs/heads/main"}
    path = {"GITHUB_EVENT_PATH": str(tmp_path / "event.json")}
    return event.read({f"GITHUB_{name}": value for name, value in {**usual, **variables}.items()} | path)


def test_without_a_runner_one_tag_stays() -> None:
    """Somebody at a desk publishes a commit, and moves nothing."""
    assert event.read({}).tags(COMMIT) == (f"git-{COMMIT}",)


def test_the_default_branch_is_the_repositorys(tmp_path: Path) -> None:
    """`main` where the payload does not say, as in ADR-002."""
    trunk = {"repository": {"full_name": "a/b", "default_branch": "trunk"}}
    assert told(tmp_path, trunk, REF="refs/heads/trunk").tags(COMMIT)[1:] == ("latest",)
    assert told(tmp_path, trunk).tags(COMMIT)[1:] == ()
    assert told(tmp_path, {}).tags(COMMIT)[1:] == ("latest",)


def test_a_pull_request_never_moves_latest(tmp_path: Path) -> None:
    """`pull_request_target` runs with the reference of the branch that is merged into."""
    payload = {"pull_request": {"number": 7, "head": {"sha": "f" * 40, "repo": {"full_name": "A/B"}}}}
    found = told(tmp_path, payload, EVENT_NAME="pull_request_target")
    assert found.refusal() is None
    assert found.tags("f" * 40, "-x") == (f"git-{'f' * 40}-x", "pr-7-x")
    assert found.tags(COMMIT)[1:] == ("pr-7",)
    assert found.tags("e" * 40)[1:] == ()


@pytest.mark.parametrize(
    ("payload", "variables"),
    [
        (b"", {}),
        (b"{", {}),
        (b"[]", {}),
        (b"\xff", {}),
        (b'{"pull_request": {"number": 7, "head": {"sha": "\xff"}}}', {}),
        (b"[" * 100_000, {}),
        ({"pull_request": {"number": "7", "head": {}}}, {}),
        ({"pull_request": {"number": -7, "head": {}}}, {}),
        ({"pull_request": {"number": 7}}, {}),
        ({}, {"EVENT_NAME": "pull_request"}),
        ({"repository": 5}, {}),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, payload: Any, variables: dict[str, str]) -> None:
    """Pushing on a guess would move tags."""
    with pytest.raises(EventError):
        told(tmp_path, payload, **variables)


def test_a_payload_that_is_not_there_is_refused() -> None:
    """A runner names one, always."""
    with pytest.raises(EventError, match="cannot be read"):
        event.read({"GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": "/nonexistent"})


def test_tags_are_such(tmp_path: Path) -> None:
    """A suffix is the caller's text."""
    with pytest.raises(NamingError):
        told(tmp_path, {}).tags(COMMIT, "/../x")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("received unexpected HTTP status: 500 Internal Server Error", RegistryError),
        ("received unexpected HTTP status: 503 Service Unavailable: access denied by proxy", RegistryError),
        ("toomanyrequests: retry-after: 1s", RegistryError),
        ("writing blob: Patch: EOF", RegistryError),
        ("dial tcp: lookup ghcr.io: no such host", RegistryError),
        ("net/http: TLS handshake timeout", RegistryError),
        ("something that nobody has seen before", RegistryError),
        ("unauthorized: authentication required", DeniedError),
        ("denied: installation not allowed to Create organization package", DeniedError),
        ("requested access to the resource is denied", DeniedError),
        ("received unexpected HTTP status: 403 Forbidden", DeniedError),
        ("invalid username/password: unauthorized", DeniedError),
        ("manifest invalid: manifest invalid", RefusedError),
        ("received unexpected HTTP status: 413 Request Entity Too Large", RefusedError),
        ("x509: certificate signed by unknown authority", RefusedError),
    ],
)
def test_failures_are_told_by_what_to_do(said: str, kind: type[Exception]) -> None:
    """Another try helps where the way or the registry failed, and locks accounts where credentials did."""
    found = registry.failure(program.FailedError(said, said=said), "r/a/b")
    assert type(found) is kind
    assert found.place == "r/a/b"
