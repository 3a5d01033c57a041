"""What the runner tells, and what it means for pushing; and what a registry's failures mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ec_release.images import event, program, registry
from ec_release.images.errors import DeniedError, EventError, NamingError, RefusedError, RegistryError

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
    found = registry.failure(program.ProgramError(said, said=said), "r/a/b")
    assert type(found) is kind
    assert found.place == "r/a/b"


def test_what_nix_and_skopeo_say_is_one_line() -> None:
    """Without colours and frames; the end, where nobody says error."""
    log = 'time="2026-11-24T16:15:17Z" level=fatal msg="pinging \\"r\\": EOF"\n'
    assert program.errors_in(log) == 'pinging "r": EOF'
    assert program.errors_in("\x1b[31;1merror:\x1b[0m no\n  at x\nerror:\n") == "no"
    assert program.errors_in("a\nb\nc\nd\n") == "b c d"
    assert program.errors_in("") == "failed and said nothing"


def test_a_program_that_is_not_there_says_so(tmp_path: Path) -> None:
    """Asked or watched."""
    for run in (
        lambda: program.ask(["ec-no-such-program"], env={"PATH": ""}),
        lambda: program.watch(["ec-no-such-program"], env={"PATH": ""}, cwd=tmp_path, deadline=1),
    ):
        with pytest.raises(program.ProgramError, match="cannot be run: No such file"):
            run()


def is_running(pid: int) -> bool:
    """Whether a process runs; one that only waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_program_that_does_not_end_is_ended(tmp_path: Path) -> None:
    """After its deadline, with what it started; and that counts as a failure that may pass."""
    with pytest.raises(program.ProgramError, match="did not end within") as caught:
        program.watch(
            ["sh", "-c", "cat /dev/zero > /dev/null"], env={"PATH": "/bin:/usr/bin"}, cwd=tmp_path, deadline=0.1
        )
    assert isinstance(registry.failure(caught.value, "x"), RegistryError)
    started = ["sh", "-c", "cat /dev/zero > /dev/null & echo $! > started; wait"]
    with pytest.raises(program.ProgramError, match="no answer within"):
        program.ask(started, env={"PATH": "/bin:/usr/bin"}, cwd=tmp_path, deadline=0.5)
    assert not is_running(int((tmp_path / "started").read_text()))
