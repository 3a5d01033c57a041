"""Credentials are in one file, for as long as they are needed, however that ends."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.registry import PASSWORD, USER, Registry, copy_to

from ec_closure.errors import UsageError
from ec_release.images import credentials
from ec_release.images.credentials import Credentials
from ec_release.images.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Callable

SOMEBODY = Credentials("somebody", "secret")


@pytest.fixture
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the runner's directory for what is passing."""
    directory = tmp_path / "temp"
    directory.mkdir()
    monkeypatch.setenv("RUNNER_TEMP", str(directory))
    return directory


def test_it_is_what_skopeo_reads_and_nobody_else(temp: Path) -> None:
    """For one registry; readable by us, in a directory that is ours, whatever the umask."""
    before = os.umask(0)
    try:
        with credentials.auth_file("127.0.0.1:5000", SOMEBODY) as file:
            content = json.loads(file.read_bytes())
            assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
            assert temp == file.parents[1]
    finally:
        os.umask(before)
    assert content == {"auths": {"127.0.0.1:5000": {"auth": base64.b64encode(b"somebody:secret").decode()}}}
    assert list(temp.iterdir()) == []


def test_an_error_removes_it(temp: Path) -> None:
    """And is not swallowed."""
    with pytest.raises(FileExistsError), credentials.auth_file("r", SOMEBODY) as file:
        file.parent.mkdir()
    assert list(temp.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_removes_it(temp: Path, number: int) -> None:
    """Also when it comes twice: a runner that cancels sends an interrupt first, and ends us a little later."""
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

    def end_twice() -> None:
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt), credentials.auth_file("r", SOMEBODY):
        end_twice()
    assert list(temp.iterdir()) == []
    assert handlers == [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


def test_no_text_shows_the_password() -> None:
    """Neither a log of the object nor a traceback with its value."""
    assert "secret" not in f"{SOMEBODY!r} {SOMEBODY}"


@pytest.mark.parametrize(
    ("username", "password", "told"),
    [
        (None, "x", "user name"),
        ("a:b", "x", "user name"),
        ("a\nb", "x", "user name"),
        ("a", "", "there is no password"),
    ],
)
def test_what_is_missing_is_told(
    monkeypatch: pytest.MonkeyPatch, username: str | None, password: str, told: str
) -> None:
    """With where to put it, and not on a command line."""
    monkeypatch.delenv("GITHUB_ACTOR", raising=False)
    monkeypatch.setenv("REGISTRY_PASSWORD", password)
    with pytest.raises(UsageError, match=told):
        credentials.read(username, None)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """The wrong file was named; its bytes are not shown."""
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="it is no text"):
        credentials.read("a", tmp_path / "key")


@pytest.mark.nix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cancelled_in_the_middle_of_a_push(
    number: int, tmp_path: Path, new_flake: Callable[..., Any], in_store: Any, registry: Registry
) -> None:
    """The file is gone, and so is what was started, down to the grandchild that would not listen."""
    assert in_store
    started, never = tmp_path / "started", tmp_path / "never"
    os.mkfifo(started)
    os.mkfifo(never)
    stubborn = copy_to(
        f"trap '' INT TERM; (echo $$ $REGISTRY_AUTH_FILE > {started}; read x < {never}); read x < {never}"
    )
    flake = new_flake(f'packages.x86_64-linux.web-image = d "web" {{ }} // {{ passthru.copyTo = {stubborn}; }};')
    Descriptor("web-image").write(tmp_path / "descriptors")
    program = [sys.executable, "-c", "from ec_release.main import main; main()", "push-images"]
    options = ["--flake", flake.top, "--registry", registry.address, "--namespace", "a", "--system", "x86_64-linux"]
    with subprocess.Popen(
        [*program, tmp_path / "descriptors", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        with started.open() as told:  # until the script is there
            pid, auth = told.read().split()
        assert Path(auth).stat().st_mode & 0o777 == 0o600
        assert PASSWORD.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert not Path(auth).exists()
    assert list((tmp_path / "temp").iterdir()) == []
    assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]
    assert PASSWORD.encode() not in out + err
    assert base64.b64encode(f"{USER}:{PASSWORD}".encode()) not in out + err
