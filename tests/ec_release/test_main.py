"""The command line: exit codes, what goes where, and what people are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ec_release import main

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


def test_a_release_is_published_and_read(started: Any, command: Command) -> None:
    """The result is one JSON document on standard output, and nothing else."""
    code, out, err = command(*published(started, 1), *options(started), "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert result["metadata_published"]
    assert result["metadata"] == {"root": 1, "targets": 2, "snapshot": 2, "timestamp": 2}
    assert [asset["name"] for asset in result["assets"]] == [
        "SHA256SUMS",
        "SHA256SUMS.sig",
        "disk.img",
        "runner.closure.json.zst",
    ]
    assert started.reader().refresh().latest_version == 1


def test_people_get_lines(started: Any, command: Command) -> None:
    """Without `--json` the same is said in words."""
    code, out, _ = command(*published(started, 1), *options(started))
    assert code == 0
    assert "metadata published: yes" in out
    assert "  - name disk.img" in out


def test_keys_that_must_leave_are_named_first(new_place: Any, command: Command) -> None:
    """The first thing that people read after `trust init`."""
    _, out, _ = command("trust", "init", *options(new_place))
    assert out.splitlines()[:2] == ["move these off this machine:", f"  - {new_place.keys}/OFFLINE-root-1.pem"]


def test_initialising_twice_is_refused(started: Any, command: Command) -> None:
    """Keys in use are not replaced by accident."""
    code, out, err = command("trust", "init", *options(started))
    assert (code, out) == (2, "")
    assert err.startswith("ec-release: this repository is initialised already\n  hint: ")


def test_publishing_where_nothing_is_yet_says_what_comes_first(new_place: Any, started: Any, command: Command) -> None:
    """The hint names the command."""
    elsewhere = new_place.path / "elsewhere"
    code, _, err = command("trust", "refresh", "--directory", elsewhere, "--keys", started.keys)
    assert code == 2
    assert "`ec-release trust init` comes first" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["trust", "nonsense"],
        ["publish"],
        ["publish", "--version", "many"],
        ["trust", "rotate"],
        ["trust", "rotate", "everything"],
        ["trust", "init", "--directory", "x"],
    ],
)
def test_usage_errors_exit_with_2(command: Command, arguments: list[str], tmp_path: Path, monkeypatch: Any) -> None:
    """One line that says what is wrong, and no traceback."""
    monkeypatch.chdir(tmp_path)
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("ec-release: ")
    assert "Traceback" not in err


@pytest.mark.parametrize("time", ["yesterday", "2026-13-01", ""])
def test_a_time_that_is_none_is_refused(started: Any, command: Command, time: str) -> None:
    """The hint shows how to write one."""
    code, _, err = command("trust", "refresh", "--directory", started.tree, "--keys", started.keys, "--time", time)
    assert code == 2
    assert "2026-11-20T21:00:00Z" in err


@pytest.mark.parametrize("time", ["2026-11-20T12:00:00", "2026-11-20T12:00:00Z", "2026-11-20T13:00:00+01:00"])
def test_times_are_in_utc_unless_they_say_otherwise(new_place: Any, command: Command, time: str) -> None:
    """Three spellings of one moment."""
    command("trust", "init", "--directory", new_place.tree, "--keys", new_place.keys, "--time", time)
    assert new_place.time == new_place.reader().refresh().issued


def test_a_key_that_others_may_read_exits_with_3(started: Any, command: Command) -> None:
    """This machine is at fault, and the hint says how to put it right."""
    (started.keys / "targets-1.pem").chmod(0o644)
    code, _, err = command("trust", "refresh", *options(started))
    assert code == 3
    assert "hint: chmod 600" in err


def test_no_pinned_root_is_no_publishing(started: Any, command: Command) -> None:
    """Without a root to compare with, nothing is signed on top of what a server holds."""
    (started.keys / "root.json").rename(started.path / "root.json")
    code, _, err = command("trust", "refresh", *options(started))
    assert code == 3
    assert "--root" in err
    code, _, _ = command("trust", "refresh", *options(started), "--root", started.path / "root.json")
    assert code == 0


@pytest.mark.parametrize("days", [0, -1])
def test_a_validity_of_nothing_is_refused(started: Any, command: Command, days: int) -> None:
    """Metadata that are born expired would stop every node."""
    code, _, err = command("trust", "refresh", *options(started), f"--timestamp-days={days}")
    assert code == 2
    assert "at least one day" in err


def test_validity_is_an_option(started: Any, command: Command) -> None:
    """Whoever refreshes hourly may sign for two days."""
    command("trust", "refresh", *options(started), "--force", "--timestamp-days", 2)
    assert (started.reader().refresh().expires - started.time).days == 2


def test_an_error_of_the_operating_system_is_one_line(command: Command, tmp_path: Path) -> None:
    """A full disk or a forbidden directory is named, with its path."""
    (tmp_path / "keys").write_text("in the way")
    code, out, err = command("trust", "init", "--directory", tmp_path / "tree", "--keys", tmp_path / "keys")
    assert (code, out) == (3, "")
    assert err.startswith(f"ec-release: {tmp_path}/keys: ")
    assert err.count("\n") == 1


def test_an_interruption_says_that_it_can_be_continued(
    command: Command, monkeypatch: pytest.MonkeyPatch, started: Any
) -> None:
    """Control-C in the middle of an upload."""

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ec_release.publishing.publish.publish_assets", interrupt)
    code, _, err = command(*published(started, 1), *options(started))
    assert code == 130
    assert "run the same command again" in err


def test_a_reader_who_leaves_is_no_traceback(started: Any) -> None:
    """`ec-release … | head -0`."""
    program = [sys.executable, "-c", "from ec_release.main import main; main()"]
    root = started.keys / "root.json"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*program, "trust", "show", "--directory", started.tree, "--root", root],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert done.returncode == 3
    assert done.stderr == b""


def test_help_is_quick() -> None:
    """Nothing that signs, hashes or evaluates is imported to print help."""
    program = "import sys; from ec_release.main import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "publish" in done.stdout
    loaded = set(done.stderr.split())
    assert "ec_release.main" in loaded
    assert loaded.isdisjoint({"tuf", "cryptography", "zstandard", "securesystemslib"})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["publish"], "A tag keeps its bytes for ever."),
        (["image-tags"], "A pre-release gets no moving tag."),
        (["gate"], "Exit codes: 0 the repository is as declared"),
    ],
)
def test_the_help_of_a_command_teaches(command: Command, words: list[str], said: str) -> None:
    """It says all that the command has to say, and not the line of the overview alone."""
    code, out, _ = command(*words, "--help")

    assert code == 0
    assert said in " ".join(out.split())


def test_the_version_is_told(command: Command) -> None:
    """And `--version` of `publish` is the release's."""
    code, out, _ = command("--version")
    assert (code, out.strip()) == (0, "0.1.0")


def test_main_exits_with_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry point of the distribution."""
    monkeypatch.setattr(sys, "argv", ["ec-release", "nonsense"])
    with pytest.raises(SystemExit) as caught:
        main.main()
    assert caught.value.code == 2
