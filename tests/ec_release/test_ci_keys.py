"""CI's keys as one secret: packed, written for one job and removed; never a key of the root."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tuf.api.metadata import Metadata, Root

from ec_release.errors import KeyFileError, RootKeyError
from ec_release.trust import ci_keys
from ec_release.trust.keys import generate, load_ring

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., tuple[int, str, str]]

ALL = ("targets", "snapshot", "timestamp")


@pytest.fixture
def packed(place: Any, command: Command, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Give a function that packs keys, and puts the secret where a forge would."""

    def run(*arguments: Any) -> tuple[int, str]:
        code, _, err = command("ci-keys", "pack", place.path / "secret", "--keys", place.keys, *arguments)
        if not code:
            monkeypatch.setenv("EC_RELEASE_KEYS", (place.path / "secret").read_text())
        return code, err

    return run


def test_keys_travel_and_sign(place: Any, packed: Callable[..., Any], command: Command) -> None:
    """What a job finds in files is what people packed, and publishes."""
    assert (0, "") == packed()
    assert 0o600 == stat.S_IMODE((place.path / "secret").stat().st_mode)
    job = place.path / "job"

    code, out, err = command("ci-keys", "write", job, "--root", place.keys / "root.json", "--json")

    assert (0, "") == (code, err)
    assert ["snapshot-1.pem", "targets-1.pem", "timestamp-1.pem"] == json.loads(out)["keys"]
    assert {0o600} == {stat.S_IMODE(file.stat().st_mode) for file in job.iterdir()}
    assert 0o700 == stat.S_IMODE(job.stat().st_mode)
    assert load_ring([job]).signers.keys() < load_ring([place.keys]).signers.keys()
    images, closures = place.assets(1)
    published = command(
        *("publish", "--tag", "v1", "--version", 1, "--assets", *images, "--closure", *closures, "--keys", job),
        *("--root", place.keys / "root.json", "--directory", place.tree, "--time", place.time.isoformat()),
    )
    assert 0 == published[0], published[2]


def test_nothing_stays(place: Any, packed: Callable[..., Any], command: Command) -> None:
    """And where there is nothing, that is fine: the step also runs when the one before it failed."""
    packed()
    job = place.path / "job"
    command("ci-keys", "write", job)

    assert ["snapshot-1.pem", "targets-1.pem", "timestamp-1.pem"] == json.loads(
        command("ci-keys", "remove", job, "--json")[1]
    )["removed"]
    assert not job.exists()
    assert 0 == command("ci-keys", "remove", job)[0]


def test_what_is_no_key_is_not_removed(place: Any, command: Command) -> None:
    """A wrong directory is told, not emptied."""
    (place.path / "work").mkdir()
    (place.path / "work" / "file").write_text("precious")

    code, _, err = command("ci-keys", "remove", place.path / "work")

    assert 3 == code
    assert "cannot be removed" in err
    assert (place.path / "work" / "file").exists()


def test_what_an_earlier_run_left_is_replaced(place: Any, packed: Callable[..., Any], command: Command) -> None:
    """A run that was killed must not stop the next."""
    packed()
    job = place.path / "job"
    for _ in range(2):
        assert 0 == command("ci-keys", "write", job)[0]


@pytest.mark.parametrize("trap", ["readable", "link", "file"])
def test_a_directory_of_somebody_elses_gets_no_key(
    place: Any, packed: Callable[..., Any], command: Command, trap: str
) -> None:
    """On a runner whose temporary directory others can write to, a name that is taken is refused."""
    packed()
    job, there = place.path / "job", place.path / "there"
    if trap == "readable":
        job.mkdir(mode=0o755)
    elif trap == "link":
        there.mkdir(mode=0o700)
        job.symlink_to(there)
    else:
        job.write_text("")

    code, _, err = command("ci-keys", "write", job)

    assert 3 == code
    assert "is not ours alone" in err
    assert not list(place.path.rglob("job/*.pem")) + list(place.path.rglob("there/*.pem"))


def test_a_root_key_is_never_packed(place: Any, packed: Callable[..., Any]) -> None:
    """It may lie beside the others: it is left out, and refused where it serves another role as well."""
    assert 0 == packed()[0]
    assert "OFFLINE" not in (place.path / "secret").read_text()
    assert 3 == len((place.path / "secret").read_text().split("BEGIN PRIVATE KEY")[1:])
    root = Metadata[Root].from_bytes(place.root).signed
    root.roles["timestamp"].keyids = [*root.roles["root"].keyids]
    with pytest.raises(RootKeyError, match="must never be in CI"):
        ci_keys.pack([place.keys], root, ("timestamp",))


def test_a_root_key_is_never_written(place: Any, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """By its name, and by what the root says when it was renamed."""
    pem = (place.keys / "OFFLINE-root-1.pem").read_text()
    for name, arguments in (("OFFLINE-root-1.pem", []), ("targets-7.pem", ["--root", place.keys / "root.json"])):
        monkeypatch.setenv("EC_RELEASE_KEYS", f"{name}\n{pem}")
        code, _, err = command("ci-keys", "write", place.path / "job", *arguments)
        assert 3 == code
        assert "never be in CI" in err
        assert not (place.path / "job").exists()


def test_a_job_gets_no_key_that_it_has_no_use_for(place: Any, packed: Callable[..., Any], command: Command) -> None:
    """The daily refresh must not hold what signs releases, and says so when it does."""
    packed()
    arguments = [place.path / "job", "--root", place.keys / "root.json", "--role", "snapshot", "--role", "timestamp"]

    code, _, err = command("ci-keys", "write", *arguments)

    assert 3 == code
    assert "targets-1.pem: signs as targets" in err
    assert 0 == packed("--role", "snapshot", "--role", "timestamp")[0]
    assert 0 == command("ci-keys", "write", *arguments)[0]


def test_the_daily_refresh_needs_two_keys_and_tells_when_targets_are_due(
    place: Any, packed: Callable[..., Any], command: Command
) -> None:
    """It goes on signing what it can; exit code 1 says that somebody is needed."""
    place.publish(1)
    packed("--role", "snapshot", "--role", "timestamp")
    command("ci-keys", "write", place.path / "job")

    def refresh(days: int) -> tuple[int, Any, str]:
        place.later(days=days)
        code, out, err = command(
            *("trust", "refresh", "--directory", place.tree, "--keys", place.path / "job", "--json"),
            *("--root", place.keys / "root.json", "--role", "snapshot", "--role", "timestamp"),
            *("--alarm-days", 30, "--time", place.time.isoformat()),
        )
        return code, json.loads(out), err

    code, told, _ = refresh(8)
    assert (0, ["snapshot", "timestamp"], []) == (code, told["signed"], told["due_and_not_signed_here"])
    code, told, _ = refresh(40)
    assert (0, ["snapshot", "timestamp"], ["targets"]) == (code, told["signed"], told["due_and_not_signed_here"])
    code, told, err = refresh(15)
    assert (1, ["snapshot", "timestamp"]) == (code, told["signed"])
    assert "targets expires on 2027-02-18" in err
    assert () == place.reader().refresh().expired


def test_the_root_raises_the_alarm(place: Any, command: Command) -> None:
    """After everything else is signed: nodes must not suffer because people are late."""
    arguments = ["trust", "refresh", "--directory", place.tree, "--keys", place.keys, "--alarm-days", 45]
    place.later(days=300)
    assert 0 == command(*arguments, "--time", place.time.isoformat())[0]
    place.later(days=30)

    code, out, err = command(*arguments, "--time", place.time.isoformat())

    assert 1 == code
    assert "signed:" in out
    assert "root expires on 2027-11-20" in err
    assert "hint: docs/trust.md" in err


def test_an_empty_secret_is_told(place: Any, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs for strangers' changes get none."""
    monkeypatch.delenv("EC_RELEASE_KEYS", raising=False)
    code, _, err = command("ci-keys", "write", place.path / "job")

    assert 3 == code
    assert "the secret is empty" in err


@pytest.mark.parametrize("damage", ["name", "path", "twice", "cut", "rubbish", "large", "other", "key"])
def test_a_malformed_secret_is_refused_and_not_quoted(place: Any, packed: Callable[..., Any], damage: str) -> None:
    """No part of it reaches a log."""
    packed()
    text = (place.path / "secret").read_text()
    inner = text.splitlines()[2]
    damaged = {
        "name": text.replace("targets-1.pem", "targets 1"),
        "path": text.replace("targets-1.pem", "../targets-1.pem"),
        "twice": text + text,
        "cut": text[:-40],
        "rubbish": text + "x" * 50,
        "large": text + " " * (1 << 20),
        "other": text.replace("BEGIN PRIVATE", "BEGIN RSA PRIVATE"),
        "key": text.replace(inner[:10], "A" * 10, 1),
    }[damage]
    if damage == "large":
        damaged = damaged + "x"

    with pytest.raises((KeyFileError, RootKeyError)) as caught:
        ci_keys.write(damaged, place.path / "job", None, ALL)
    assert inner not in str(caught.value) + str(caught.value.hint)
    assert inner[10:] not in str(caught.value)
    assert not (place.path / "job").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(names=st.sets(st.from_regex(r"[a-z]{1,8}-[0-9]\.pem", fullmatch=True), min_size=1, max_size=8))
def test_whatever_is_packed_comes_back(tmp_path_factory: pytest.TempPathFactory, names: set[str]) -> None:
    """Every key under its name, byte for byte."""
    here = tmp_path_factory.mktemp("keys")
    for name in names:
        generate(here / name)
    keys = {name: (here / name).read_bytes().strip() for name in sorted(names)}

    ci_keys.write(ci_keys.secret(keys), here / "job", None, ALL)

    assert keys == {file.name: file.read_bytes().strip() for file in sorted((here / "job").iterdir())}
