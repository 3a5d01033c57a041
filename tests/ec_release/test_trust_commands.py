"""The commands of `ec-release trust`: ceremonies, withdrawals, and a look at what is published."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from ec_release.trust.keys import load_private

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Command = Callable[..., tuple[int, str, str]]


def options(place: Any) -> list[Any]:
    """Return what most commands need."""
    return ["--directory", place.tree, "--keys", place.keys, "--time", place.time.isoformat()]


@pytest.fixture
def started(new_place: Any, command: Command) -> Any:
    """Give a repository that the command line made."""
    code, _, _ = command("trust", "init", *options(new_place), "--root-keys", 3, "--root-threshold", 2)
    assert code == 0
    return new_place


def published(place: Any, version: int) -> list[Any]:
    """Return the arguments that publish a release."""
    images, closures = place.assets(version)
    return ["publish", "--tag", f"v{version}", "--version", version, "--assets", *images, "--closure", *closures]


def test_withdrawing_and_raising_the_minimum(started: Any, command: Command) -> None:
    """Both reach readers, and tell what is said now."""
    for version in (1, 2):
        command(*published(started, version), *options(started))
    code, out, _ = command("trust", "withdraw", 1, *options(started), "--json")
    assert (code, json.loads(out)["standing"]["withdrawn"]) == (0, [1])
    code, out, _ = command("trust", "min-version", 2, *options(started), "--json")
    assert (code, json.loads(out)["standing"]["min_version"]) == (0, 2)
    state = started.reader().refresh()
    assert (state.min_version, state.withdrawn) == (2, (1,))


def test_a_ceremony_on_three_machines(started: Any, command: Command) -> None:
    """Propose, look, sign twice, apply."""
    safe = started.path / "safe"
    safe.mkdir()
    for path in started.keys.glob("OFFLINE-*"):
        path.rename(safe / path.name)
    pending = started.keys / "pending-root.json"
    code, out, _ = command("trust", "rotate", "targets", "timestamp", *options(started), "--json")
    assert (code, json.loads(out)["applied"]) == (0, False)
    look = ["trust", "sign", "--pending", pending, "--root", started.keys / "root.json"]
    before = pending.read_bytes()
    code, out, _ = command(*look)
    assert code == 0
    assert "targets: key" in out
    assert pending.read_bytes() == before
    code, out, err = command("trust", "apply", *options(started))
    assert (code, out) == (3, "")
    assert "2 more signatures are needed" in err
    for number in (1, 3):
        code, _, _ = command(*look, "--key", safe / f"OFFLINE-root-{number}.pem")
        assert code == 0
    pinned = started.root
    code, out, _ = command("trust", "apply", *options(started), "--json")
    assert code == 0
    result = json.loads(out)
    assert result["signed_anew"] == ["targets", "timestamp"]
    assert sorted(os.path.basename(path) for path in result["keys_no_longer_accepted"]) == [  # noqa: PTH119 - text
        "targets-1.pem",
        "timestamp-1.pem",
    ]
    assert not pending.exists()
    assert started.root != pinned
    assert started.reader(root=pinned).refresh().root_version == 2


def test_root_keys_at_hand_change_the_root_at_once(started: Any, command: Command) -> None:
    """For small fleets that keep all keys on one stick."""
    keyid = load_private(started.keys / "OFFLINE-root-2.pem").public_key.keyid
    code, out, _ = command("trust", "rotate", "root", "--remove", keyid[:10], *options(started), "--json")
    assert (code, json.loads(out)["applied"]) == (0, True)
    assert (started.keys / "OFFLINE-root-4.pem").exists()
    code, _, _ = command("trust", "renew", *options(started))
    assert code == 0
    assert started.reader().refresh().root_version == 3


def test_a_key_of_ones_own_joins(started: Any, command: Command, tmp_path: Path) -> None:
    """Only the public half travels."""
    assert command("trust", "key", tmp_path / "mine.pem")[0] == 0
    code, out, _ = command(
        "trust", "rotate", "root", "--add", tmp_path / "mine.pub", "--threshold", 3, *options(started), "--json"
    )
    assert code == 0
    changes = json.loads(out)["proposal"]["changes"]
    assert f"root: key {load_private(tmp_path / 'mine.pem').public_key.keyid[:16]} comes" in changes
    assert "root: threshold 2 becomes 3" in changes
    assert (started.keys / "OFFLINE-root-4.pem").exists() is False


@pytest.mark.parametrize("arguments", [["root"], ["targets", "--threshold", "2"], [], ["targets", "--add", "x"]])
def test_a_rotation_that_says_too_little_is_refused(started: Any, command: Command, arguments: list[str]) -> None:
    """Which root key goes is never guessed."""
    before = started.files()
    assert command("trust", "rotate", *arguments, *options(started))[0] == 2
    assert started.files() == before
    assert not (started.keys / "pending-root.json").exists()


def test_showing_needs_no_key(started: Any, command: Command) -> None:
    """Anybody with the root can look."""
    command(*published(started, 1), *options(started))
    root = started.path / "root.json"
    root.write_bytes(started.root)
    started.keys.rename(started.path / "locked-away")
    code, out, _ = command(
        "trust", "show", "--directory", started.tree, "--root", root, "--targets", "--json", "--time", "2027-01-01"
    )
    assert code == 0
    shown = json.loads(out)
    assert shown["thresholds"]["root"] == 2
    assert shown["expired"] == ["snapshot", "timestamp"]
    assert [asset["name"] for asset in shown["assets"]] == [
        "v1/SHA256SUMS",
        "v1/SHA256SUMS.sig",
        "v1/disk.img",
        "v1/runner.closure.json.zst",
    ]
