"""The node's own data: what verify.toml leaves to them, and what becomes of damaged ones."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ec_verify.conftest import Node

pytestmark = pytest.mark.nix
DIGEST = "5" * 64


@pytest.fixture
def data(node: Node) -> Path:
    """Give the file of a node whose verify.toml names neither node nor dashboard."""
    file = node.directory / "node.json"
    node.tables[""] = {"node_file": str(file)}
    return file


def write(file: Path, **changes: Any) -> None:
    """Write node.json, as `ec-provision` does."""
    given = {
        "schema": "ec-runner.node-applied.v1",
        "name": "runner-7",
        "source": "file",
        "digest": DIGEST,
        "dashboard": "https://dashboard.invalid",
    }
    file.write_text(json.dumps(given | changes))


def unnamed(node: Node) -> list[str]:
    """Return a command line with a configuration that does not name the node."""
    config = node.configure()
    config.write_text(
        "".join(line for line in config.read_text().splitlines(keepends=True) if not line.startswith("node ="))
    )
    return ["run", "--json", "--no-submit", "--config", str(config), "--time", "2026-11-20T12:00:00Z"]


def test_name_dashboard_and_digest_are_taken(node: Node, data: Path) -> None:
    """The report carries the first and the last, and waits for the dashboard."""
    write(data)

    ran = node.ran(*unnamed(node))

    assert (0, set(), "runner-7", DIGEST) == (ran.exit, ran.codes, ran.report.node, ran.report.node_data_digest)
    assert 1 == len(list((node.state / "spool").iterdir()))


def test_what_verify_toml_says_goes_first(node: Node, data: Path) -> None:
    """The operator of the fleet has signed that; the digest tells all the same what was applied."""
    write(data)
    node.tables["report"] = {"url": "https://other.invalid"}

    ran = node.run("run", "--json", "--no-submit")

    assert ("node-1", DIGEST) == (ran.report.node, ran.report.node_data_digest)


def test_a_node_without_data_goes_by_its_host_name(node: Node, data: Path) -> None:
    """And says nothing of data."""
    assert not data.exists()

    ran = node.ran(*unnamed(node))

    assert (0, set(), socket.gethostname(), None) == (
        ran.exit,
        ran.codes,
        ran.report.node,
        ran.report.node_data_digest,
    )
    assert not (node.state / "spool").exists()


def test_data_without_name_and_dashboard_leave_both_alone(node: Node, data: Path) -> None:
    """As where no node.toml was found."""
    write(data, name=None, dashboard=None, digest=None, source="none")

    ran = node.ran(*unnamed(node))

    assert (0, set(), socket.gethostname()) == (ran.exit, ran.codes, ran.report.node)


@pytest.mark.parametrize("kind", ["garbage", "unknown key", "link", "pipe", "large", "directory", "dashboard"])
def test_damaged_data_do_not_spare_a_node_its_verification(node: Node, data: Path, kind: str) -> None:
    """A finding, and the run goes on under the host name."""
    match kind:
        case "garbage":
            data.write_bytes(b"\xff{")
        case "unknown key":
            write(data, colour="red")
        case "link":
            write(data.with_name("aside"))
            data.symlink_to("aside")
        case "pipe":
            os.mkfifo(data)
        case "large":
            data.write_bytes(b" " * (1 << 20))
        case "directory":
            data.mkdir()
        case "dashboard":
            write(data, dashboard="https://user:secret@dashboard.invalid")

    ran = node.ran(*unnamed(node))

    assert (0, "passed", {"EV119"}) == (ran.exit, ran.report.verdict, ran.codes)
    assert "secret" not in ran.out + ran.err
    assert not (node.state / "spool").exists()


def test_a_configuration_is_checked_without_the_data_of_the_machine_that_checks(node: Node, data: Path) -> None:
    """It may be made far away from the node that it is for, and then its name is not known."""
    write(data, name="elsewhere")
    node.tables["fleet"] = {"members": ["runner-7", "runner-8"]}
    config = node.configure()
    config.write_text(config.read_text().replace('node = "node-1"\n', ""))

    assert 0 == node.ran("config", "check", str(config)).exit
    node.ran("status", "--config", str(config)).assert_refused()
    write(data)
    assert 3 == node.ran("status", "--config", str(config)).exit


def test_evidence_of_a_node_with_data_verifies(node: Node, data: Path) -> None:
    """The digest is the node's word, as its name is."""
    write(data)
    bundle = node.directory / "evidence.tar"
    assert 0 == node.run("run", "--no-submit", "--evidence", bundle).exit

    assert 0 == node.ran("check-evidence", str(bundle), "--trust-root", str(node.signed.pinned)).exit
