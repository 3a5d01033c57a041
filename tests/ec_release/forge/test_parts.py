"""The parts that judge values alone: answers, waiting, addresses, forms, holders of the lock, a run's environment."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure.errors import UsageError
from ec_release.backend.forgejo import answers
from ec_release.backend.forgejo.context import locate, run_token
from ec_release.backend.forgejo.holder import Holder
from ec_release.backend.forgejo.upload import Form
from ec_release.errors import AccessError, BackendError, CapacityError

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (format_datetime(NOW.replace(minute=5), usegmt=True), 300.0),
        (format_datetime(NOW.replace(hour=1), usegmt=True), 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("٣", None),
    ],
)
def test_a_server_says_how_long_to_wait(value: str, seconds: float | None) -> None:
    """In seconds, or as a moment; what is neither says nothing."""
    assert answers.retry_after({"retry-after": value}, NOW.timestamp()) == seconds


@given(st.text())
def test_any_header_is_survived(value: str) -> None:
    """It comes from a stranger."""
    waiting = answers.retry_after({"retry-after": value}, NOW.timestamp())
    assert waiting is None or waiting >= 0


@given(st.integers(100, 999), st.binary(max_size=300))
def test_any_refusal_is_one_line(status: int, body: bytes) -> None:
    """Whatever the server says, it cannot move a cursor or forge a line of a log."""
    error = answers.refusal(status, body, "GET https://forge.invalid/x")
    assert isinstance(error, BackendError)
    assert str(error).isprintable()
    assert str(status) in str(error)
    assert len(str(error)) < 1200


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, AccessError, "backend.access"),
        (403, AccessError, "backend.access"),
        (404, AccessError, "backend.access"),
        (413, CapacityError, "backend.capacity"),
        (507, CapacityError, "backend.capacity"),
        (409, BackendError, "backend"),
        (422, BackendError, "backend"),
        (599, BackendError, "backend"),
    ],
)
def test_whose_fault_it_is_has_a_code(status: int, kind: Any, code: str) -> None:
    """Scripts may match on it."""
    error = answers.refusal(status, b"{}", "x")
    assert type(error) is kind
    assert error.code == code


def test_addresses_lose_what_may_be_secret() -> None:
    """User, signature and fragment."""
    assert answers.bare("https://u:p@host:8443/a/b?sig=x#y") == "https://host:8443/a/b"


@given(st.binary(max_size=1000), st.integers(1, 300))
def test_a_form_is_what_it_announces(data: bytes, step: int) -> None:
    """Its length to the byte, and one file in it, whatever the bytes are."""
    form = Form("disk.img", len(data), lambda: (data[at : at + step] for at in range(0, len(data), step)))
    whole = b"".join(form)
    assert len(whole) == form.length == int(form.headers["content-length"])
    parsed = message_from_bytes(f"Content-Type: {form.headers['content-type']}\r\n\r\n".encode() + whole)
    (part,) = parsed.get_payload()
    assert part.get_filename() == "disk.img"
    assert whole.count(f"--{form.boundary}".encode()) == 2
    head, _, rest = whole.partition(b"\r\n\r\n")
    assert rest[: len(data)] == data
    assert head.startswith(b"--ec-release-")


@given(
    st.from_regex(r"[0-9]{1,12}", fullmatch=True),
    st.text(max_size=100),
    st.integers(0, 10**8),
)
def test_a_holder_is_read_as_it_was_written(number: str, job: str, attempt: int) -> None:
    """Whatever a job is called, the name of the lock stays one that a server takes."""
    ours = Holder.ours({"GITHUB_RUN_ID": number, "GITHUB_JOB": job, "GITHUB_RUN_ATTEMPT": str(attempt)})
    assert Holder.parse(str(ours)) == ours
    assert len(str(ours)) < 200
    assert not ours.is_over(ours)


def run(**more: str) -> dict[str, str]:
    """Return the environment of a run."""
    return {
        "GITHUB_SERVER_URL": "https://forge.invalid",
        "GITHUB_API_URL": "https://forge.invalid/api/v1",
        "GITHUB_REPOSITORY": "a/b",
        "GITHUB_SHA": "e" * 40,
        "GITHUB_TOKEN": "token-of-the-run",
    } | more


def test_a_run_says_where_it_is() -> None:
    """Forgejo's own names win over GitHub's."""
    here = locate(run(FORGEJO_REPOSITORY="c/d"), None, None)
    assert here is not None
    assert (here.server, here.api, here.owner, here.name) == (
        "https://forge.invalid",
        "https://forge.invalid/api/v1",
        "c",
        "d",
    )
    assert run_token(run(FORGEJO_TOKEN="x"), here) == "x"  # noqa: S106 - of nobody


@pytest.mark.parametrize(
    ("server", "repository", "token", "commit"),
    [
        ("https://forge.invalid/", None, "token-of-the-run", "e" * 40),
        ("https://FORGE.invalid:443", "a/b", "token-of-the-run", "e" * 40),
        ("https://forge.invalid", "a/other", "token-of-the-run", None),
        ("http://forge.invalid", "a/b", None, None),
        ("https://forge.invalid:8443", "a/b", None, None),
        ("https://elsewhere.invalid", "a/b", None, None),
    ],
)
def test_what_belongs_to_a_run_stays_there(
    server: str, repository: str | None, token: str | None, commit: str | None
) -> None:
    """Its token goes to its own origin, its commit to its own repository; a token of ours goes where we say."""
    found = locate(run(), server, repository)
    assert found is not None
    assert run_token(run(), found) == token
    assert found.commit == commit
    assert run_token(run(EC_RELEASE_TOKEN="ours"), found) == "ours"  # noqa: S106 - of nobody


def test_a_token_is_one_line() -> None:
    """A line break in it would write further headers."""
    here = locate(run(), None, None)
    assert here is not None
    with pytest.raises(UsageError, match="one line"):
        run_token(run(EC_RELEASE_TOKEN="a\r\nX-Admin: 1"), here)  # noqa: S106 - of nobody


def test_without_a_run_nothing_is_guessed() -> None:
    """Half an address is no address."""
    assert locate({}, None, None) is None
    assert locate({"GITHUB_REPOSITORY": "a/b"}, None, None) is None
    with pytest.raises(UsageError, match="without --server"):
        locate({}, None, "a/b")
