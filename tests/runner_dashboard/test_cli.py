"""The command line: what it prints, and the exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

import pytest

from runner_dashboard import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the path of a configuration, in an environment without ours."""
    for name in list(os.environ):
        if name.startswith("RUNNER_DASHBOARD_"):
            monkeypatch.delenv(name)
    file = tmp_path / "dashboard.toml"
    file.write_text(f'state_dir = "{tmp_path}/state"\n[server]\nport = 0\n[log]\nform = "json"\n')
    return str(file)


def begin(config: str) -> tuple[subprocess.Popen[str], str, str]:
    """Start a server, and return it with its first words on standard output and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "runner_dashboard", "serve", "--config", config],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    for line in process.stderr:
        event = json.loads(line)
        if event["event"] == "serving":
            return process, "", event["address"]
    pytest.fail(f"it ended with {process.wait()}: {process.stdout.read()}")


def test_serve_answers_and_stops_when_told(config: str) -> None:
    """Health, readiness, a first token on standard output and none in the log, and exit code 0 after SIGTERM."""
    process, _, address = begin(config)
    with process:
        for path in ("/healthz", "/readyz"):
            with urllib.request.urlopen(f"{address}{path}", timeout=30) as answer:  # noqa: S310 - ours
                assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)

    assert process.returncode == 0
    (token,) = re.findall(r"^ecd_\S+$", out, re.MULTILINE)
    assert token not in err
    assert '"stopped"' in err


def test_one_server_a_state_directory(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Two would hand out nonces that the other does not know."""
    process, _, _ = begin(config)
    with process:
        assert main.run(["serve", "--config", config]) == 3
        process.terminate()
        process.communicate(timeout=60)

    assert "another dashboard" in capsys.readouterr().err


def test_a_token_file_replaces_the_printed_token(config: str, tmp_path: Path) -> None:
    """Nothing secret is printed then."""
    secret = tmp_path / "token"
    secret.write_text("ecd_0123456789abcdef_" + "A" * 43 + "\n")
    with open(config, "a") as file:  # noqa: PTH123 - a path as text
        file.write(f'[identity]\nbootstrap_token_file = "{secret}"\n')
    process, _, address = begin(config)
    with process:
        request = urllib.request.Request(f"{address}/api/v1/overview")  # noqa: S310 - ours
        request.add_header("Authorization", f"Bearer {secret.read_text().strip()}")
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - ours
            assert json.load(answer)["enrolled"] == 0
        process.terminate()
        out, _ = process.communicate(timeout=60)

    assert out == ""


def test_healthcheck_asks_the_server_that_is_configured(config: str, tmp_path: Path) -> None:
    """Exit 1 where nothing answers, 0 where something well does."""
    assert main.run(["healthcheck", "--config", config]) == 1
    process, _, address = begin(config)
    with process:
        port = address.rpartition(":")[2]
        other = tmp_path / "other.toml"
        other.write_text(f'[server]\nport = {port}\nhost = "0.0.0.0"\n')
        assert main.run(["healthcheck", "--config", str(other)]) == 0
        assert main.run(["healthcheck", "--ready", "--config", str(other)]) == 0
        process.terminate()
        process.communicate(timeout=60)


def test_check_reads_the_configuration_and_nothing_else(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It runs where an image is made."""
    assert main.run(["check", "--config", config]) == 0
    assert "valid" in capsys.readouterr().out
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["token"], 2),
        (["serve", "--nonsense"], 2),
        (["check", "--config", "/does/not/exist"], 2),
        (["token", "create", "x", "--role", "owner"], 2),
        (["--version"], 0),
        (["--help"], 0),
        (["serve", "--help"], 0),
    ],
)
def test_exit_codes(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """0 done, 2 usage or configuration, one line and a hint."""
    assert code == main.run(arguments)
    said = capsys.readouterr()
    assert ("hint: " in said.err) == (code == 2)


def test_tokens_are_made_listed_and_revoked(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The secret is printed once, and never again."""
    assert main.run(["token", "list", "--config", config]) == 3
    assert main.run(["migrate", "--config", config]) == 0
    capsys.readouterr()
    assert main.run(["token", "create", "CI", "--role", "operator", "--scope", "enrol", "--config", config]) == 0
    token = capsys.readouterr().out.strip()
    assert main.run(["token", "list", "--json", "--config", config]) == 0
    out = capsys.readouterr().out
    (row,) = json.loads(out)

    assert ("CI", "operator", "enrol", None) == (row["name"], row["role"], row["scopes"], row["revoked_at"])
    assert token.split("_", 2)[2] not in out
    assert main.run(["token", "revoke", row["id"], "--config", config]) == 0
    assert main.run(["token", "revoke", row["id"], "--config", config]) == 2
    assert main.run(["token", "list", "--config", config]) == 0
    assert "revoked" in capsys.readouterr().out


def test_a_scope_beyond_the_role_is_refused(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A viewer's token cannot enrol."""
    main.run(["migrate", "--config", config])

    assert main.run(["token", "create", "x", "--scope", "enrol", "--config", config]) == 2
    assert "it may have read, metrics" in capsys.readouterr().err


def test_a_backup_is_written_and_needs_a_database(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No empty copy of what is not there."""
    target = tmp_path / "copy.sqlite"

    assert main.run(["backup", str(target), "--config", config]) == 3
    assert main.run(["migrate", "--config", config]) == 0
    assert main.run(["backup", str(target), "--config", config]) == 0
    assert target.exists()
    assert "no database" in capsys.readouterr().err


def test_generated_tokens_are_well_formed(capsys: pytest.CaptureFixture[str]) -> None:
    """What is put into a bootstrap token file is accepted there."""
    assert main.run(["token", "generate"]) == 0

    assert re.fullmatch(r"ecd_[0-9a-f]{16}_[\w-]{43}\n", capsys.readouterr().out)
