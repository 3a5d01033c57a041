"""Where node.toml is looked for: the first place that has one counts, and a bad one is not passed over."""

from __future__ import annotations

import hashlib
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest

from ec_closure.node_config import MAX_BYTES, SOURCES
from ec_provision import sources
from ec_provision.command_line import Address
from ec_provision.errors import CommandLineError, FetchError, SourceFileError
from ec_provision.sources import Found, Places

if TYPE_CHECKING:
    from collections.abc import Iterable

URL = "https://boot.example.org/node.toml"


def found(machine: Any, asked: list[Address] | None = None) -> Found | None:
    """Look on a machine; addresses that are asked for answer `url`."""
    seen = [] if asked is None else asked

    def fetch(address: Address) -> bytes:
        seen.append(address)
        return b"url"

    return sources.find(Places(machine.root, machine.credentials), fetch)


def fill(machine: Any, present: Iterable[str]) -> None:
    """Put a node.toml into places, each with its place's name as contents."""
    for place in present:
        if place == "url":
            machine.put("command line", f"quiet ec.node={URL}?x\n")
        else:
            machine.put(place, place)


def test_nothing_anywhere_is_no_mistake(machine: Any) -> None:
    """Neither directories nor a command line need to exist."""
    assert found(machine) is None


@pytest.mark.parametrize("count", range(1, 5))
def test_the_first_in_the_order_counts(machine: Any, count: int, tmp_path: Any, capsys: Any) -> None:
    """Whatever else has one; the others are named, and not asked."""
    for at, present in enumerate(combinations(SOURCES, count)):
        one = type(machine)(tmp_path / f"root-{at}", tmp_path / f"credentials-{at}")
        one.root.mkdir()
        fill(one, present)
        asked: list[Address] = []
        result = found(one, asked)
        said = capsys.readouterr().out

        assert result is not None
        assert (present[0], present[0].encode(), present[1:]) == (result.source, result.data, result.ignored)
        assert ([Address(f"{URL}?x")] if present[0] == "url" else []) == asked
        assert hashlib.sha256(present[0].encode()).hexdigest() == result.digest
        assert (", ".join(present[1:]) in said, bool(said)) == (True, bool(present[1:]))


def test_each_place_is_named_as_an_operator_would(machine: Any) -> None:
    """In messages, without the query of an address."""
    fill(machine, SOURCES)
    places = []
    for source, file in (
        ("credential", machine.credentials / "node.toml"),
        ("url", machine.root / "proc/cmdline"),
        ("partition", machine.root / "run/ec-node-partition/node.toml"),
        ("file", machine.root / "var/lib/every-channel/node.toml"),
    ):
        result = found(machine)
        assert result is not None
        assert source == result.source
        places.append(result.place)
        expected = URL if source == "url" else str(file)
        assert expected == places[-1]
        file.unlink()
    assert found(machine) is None


@pytest.mark.parametrize("place", ["credential", "partition", "file"])
def test_a_bad_one_is_not_passed_over(machine: Any, place: str, tmp_path: Any) -> None:
    """Whoever can damage one place must not thereby choose the next."""
    (tmp_path / "secret").write_text("secret")
    file = machine.put(place, "")
    for later in SOURCES[SOURCES.index(place) + 1 :]:  # type: ignore[arg-type] # one of them
        fill(machine, [later])
    file.unlink()
    file.symlink_to(tmp_path / "secret")

    with pytest.raises(SourceFileError):
        found(machine)
    file.unlink()
    file.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(SourceFileError, match="is larger than"):
        found(machine)


def test_an_address_that_is_none_is_not_passed_over(machine: Any) -> None:
    """Neither is one that does not answer."""
    machine.put("command line", "ec.node=http://a.example/")
    machine.put("file", "file")
    with pytest.raises(CommandLineError):
        found(machine)

    def refuse(_: Address) -> bytes:
        raise FetchError("answered 404")

    machine.put("command line", f"ec.node={URL}")
    with pytest.raises(FetchError):
        sources.find(Places(machine.root), refuse)


def test_only_the_file_of_the_machine_must_be_roots(machine: Any) -> None:
    """Who holds a stick decides what is on it."""
    machine.put("partition", "partition", 0o666)
    assert found(machine) is not None
    (machine.root / "run/ec-node-partition/node.toml").unlink()
    machine.put("file", "file", 0o666)
    with pytest.raises(SourceFileError, match="others than root can write it"):
        found(machine)


@pytest.mark.parametrize(
    ("place", "mode", "exposed"),
    [("file", 0o600, False), ("file", 0o640, True), ("file", 0o604, True), ("partition", 0o644, False)],
)
def test_a_file_that_others_can_read_is_noticed(machine: Any, place: str, mode: int, exposed: bool) -> None:  # noqa: FBT001 - a table
    """It may hold a token."""
    machine.put(place, "x", mode)
    result = found(machine)

    assert result is not None
    assert exposed == result.exposed


@pytest.mark.parametrize("value", ["", "relative/directory"])
def test_only_a_directory_of_the_service_manager_counts(
    machine: Any, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative one would depend on where we stand."""
    assert machine.credentials == Places.of_environment(machine.root).credentials
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", value)
    monkeypatch.chdir(machine.root)

    assert Places.of_environment(machine.root).credentials is None
