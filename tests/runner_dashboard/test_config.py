"""dashboard.toml and the environment over it: strict, with the place of every mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner_dashboard import config
from runner_dashboard.config import Config
from runner_dashboard.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_defaults_are_valid() -> None:
    """Nothing needs to be written to begin."""
    assert Config() == config.decode(b"")
    assert Config().remarks() == []


def test_the_environment_replaces_what_the_file_says() -> None:
    """A container needs no file."""
    found = config.decode(
        b'state_dir = "/one"\n[server]\nport = 1\nhost = "::1"\n',
        {
            "RUNNER_DASHBOARD_STATE_DIR": "/two",
            "RUNNER_DASHBOARD_SERVER_PORT": "8443",
            "RUNNER_DASHBOARD_DATABASE_MIGRATE": "false",
            "RUNNER_DASHBOARD_INGEST_REPORTS_PER_MINUTE": "7",
            "HOME": "/nowhere",
        },
    )

    assert ("/two", 8443, "::1") == (found.state_dir, found.server.port, found.server.host)
    assert (False, 7) == (found.database.migrate, found.ingest.reports_per_minute)


def test_every_key_has_its_variable() -> None:
    """Names do not collide: each variable means one key."""
    assert len(config.variables()) == len(set(config.variables().values()))
    assert ("server", "port") == config.variables()["RUNNER_DASHBOARD_SERVER_PORT"]


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"port = 1", "dashboard.toml"),
        (b"[server]\nport = 65536", "dashboard.toml: server.port"),
        (b"[server]\nprot = 1", "dashboard.toml: server"),
        (b'[server]\npublic_url = "https://example.org/"', "dashboard.toml: server.public_url"),
        (b'state_dir = "here"', "dashboard.toml: state_dir"),
        (b'state_dir = "/a\\nb"', "dashboard.toml: state_dir"),
        (b'schema = "ec-runner.dashboard.v2"', "dashboard.toml: schema"),
        (b"[", "dashboard.toml"),
        (b"\xff", "dashboard.toml"),
        (b"a = " + b"[" * 5000, "dashboard.toml"),
        (b"#" * (1 << 20) + b"#", "dashboard.toml"),
    ],
)
def test_a_mistake_is_named_with_its_place(data: bytes, place: str) -> None:
    """Unknown keys are mistakes, too."""
    with pytest.raises(ConfigError) as caught:
        config.decode(data)

    assert (caught.value.place or "").startswith(place)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RUNNER_DASHBOARD_SERVER_PRT", "1"),
        ("RUNNER_DASHBOARD_SERVER_PORT", "many"),
        ("RUNNER_DASHBOARD_DATABASE_MIGRATE", "perhaps"),
        ("RUNNER_DASHBOARD_", ""),
    ],
)
def test_a_variable_that_says_nothing_is_a_mistake(name: str, value: str) -> None:
    """A mistyped variable must not be a setting that silently stays as it was."""
    with pytest.raises(ConfigError) as caught:
        config.decode(b"", {name: value})

    assert name == caught.value.place


def test_what_kubernetes_adds_is_passed_over() -> None:
    """A service called runner-dashboard puts its address into every container of its namespace."""
    added = {
        "RUNNER_DASHBOARD_SERVICE_HOST": "10.0.0.1",
        "RUNNER_DASHBOARD_SERVICE_PORT": "80",
        "RUNNER_DASHBOARD_SERVICE_PORT_HTTP": "80",
        "RUNNER_DASHBOARD_PORT": "tcp://10.0.0.1:80",
        "RUNNER_DASHBOARD_PORT_80_TCP": "tcp://10.0.0.1:80",
        "RUNNER_DASHBOARD_PORT_80_TCP_ADDR": "10.0.0.1",
    }

    assert Config() == config.decode(b"", added)


def test_what_travels_in_the_clear_is_remarked() -> None:
    """Valid, for something in front may speak TLS, but worth saying."""
    open_to_all = config.decode(b"", {"RUNNER_DASHBOARD_SERVER_HOST": "0.0.0.0"})  # noqa: S104 - the point
    behind_tls = config.decode(
        b"",
        {
            "RUNNER_DASHBOARD_SERVER_HOST": "0.0.0.0",  # noqa: S104 - the point
            "RUNNER_DASHBOARD_SERVER_PUBLIC_URL": "https://dashboard.example.org",
        },
    )

    assert len(open_to_all.remarks()) == 1
    assert behind_tls.remarks() == []


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    """An option on the command line counts more."""
    file = tmp_path / "dashboard.toml"
    file.write_text("[server]\nport = 7\n")

    assert config.load(None, {"RUNNER_DASHBOARD_CONFIG": str(file)}).server.port == 7
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path / "absent", {"RUNNER_DASHBOARD_CONFIG": str(file)})
