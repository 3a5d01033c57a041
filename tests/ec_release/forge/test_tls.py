"""A forge whose certificate comes from an authority of its own."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from tests.ec_release.forge.server import REPOSITORY, TOKEN, Forge, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    """Give the authority, and its certificate in a file."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return made


@pytest.fixture
def secure(tmp_path: Path, authority: trustme.CA) -> Iterator[Forge]:
    """Give a forge that speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serving(tmp_path / "secure", context) as forge:
        yield forge
        assert forge.violations == []


def beginning(forge: Forge, tmp_path: Path) -> list[Any]:
    """Return the arguments that begin a repository."""
    (tmp_path / "token").write_text(TOKEN)
    there = ["--server", forge.url, "--repository", REPOSITORY, "--token-file", tmp_path / "token"]
    return ["trust", "init", "--keys", tmp_path / "keys", *there]


def test_its_authority_is_named(secure: Forge, tmp_path: Path, command: Any) -> None:
    """Then everything works, downloads included."""
    assert command(*beginning(secure, tmp_path), "--ca-file", tmp_path / "ca.pem")[0] == 0
    assert "trust/timestamp.json" in secure.state.tree()


def test_a_stranger_gets_no_token(secure: Forge, tmp_path: Path, command: Any) -> None:
    """Nor is it asked again: what to do is said."""
    code, _, err = command(*beginning(secure, tmp_path))
    assert code == 3
    assert "certificate is not accepted" in err
    assert "--ca-file" in err
    assert secure.seen == []


def test_an_authority_that_is_no_file_is_told(secure: Forge, tmp_path: Path, command: Any) -> None:
    """With its path, before anything is asked."""
    code, _, err = command(*beginning(secure, tmp_path), "--ca-file", tmp_path / "none.pem")
    assert code == 3
    assert "none.pem" in err
    (tmp_path / "none.pem").write_text("no certificate")
    code, _, err = command(*beginning(secure, tmp_path), "--ca-file", tmp_path / "none.pem")
    assert code == 3
    assert "none.pem" in err


def test_encryption_is_not_left(secure: Forge, tmp_path: Path, command: Any, forge: Forge) -> None:
    """A redirect from https to http is not followed."""
    from tests.ec_release.forge import faults

    secure.plan("GET", "/releases/download/", faults.redirect(f"{forge.url}/x"), times=1000)
    code, _, err = command(*beginning(secure, tmp_path), "--ca-file", tmp_path / "ca.pem")
    assert code == 3
    assert "from https to http" in err
    assert forge.seen == []
