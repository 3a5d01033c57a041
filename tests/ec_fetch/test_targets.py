"""Finding a manifest among signed targets."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.metadata import TargetFile, Targets

from ec_fetch.errors import MetadataError, NoTargetError
from ec_fetch.targets import ClosureTarget, choose, closures

RUNNER = "/nix/store/" + "0" * 32 + "-runner"
OTHER = "/nix/store/" + "1" * 32 + "-other"


def closure(version: int, toplevel: str = RUNNER, **changes: Any) -> ClosureTarget:
    """Return the target of a release."""
    tag = f"v{version}"
    made = ClosureTarget(f"{tag}/runner.closure.json.zst", tag, version, toplevel, "runner", "0" * 64, 1)
    return dataclasses.replace(made, **changes)


def described(custom: Any, name: str = "v1/a", **changes: Any) -> Targets:
    """Return targets metadata with one target."""
    fields: dict[str, Any] = {
        "length": 1,
        "hashes": {"sha256": "0" * 64},
        "path": name,
        "unrecognized_fields": {"custom": custom},
    }
    return Targets(targets={name: TargetFile(**(fields | changes))})


@given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from([RUNNER, OTHER])), min_size=1))
def test_the_highest_release_of_a_system_wins(published: list[tuple[int, str]]) -> None:
    """Whatever the order and whatever else there is."""
    known = [closure(version, toplevel) for version, toplevel in published]
    versions = [version for version, toplevel in published if toplevel == RUNNER]
    if versions:
        assert choose(known, RUNNER).version == max(versions)
    else:
        with pytest.raises(NoTargetError):
            choose(known, RUNNER)


@pytest.mark.parametrize("changes", [{"sha256": "1" * 64}, {"length": 2}, {"system": "evil"}])
def test_two_manifests_of_one_version_must_agree(changes: dict[str, Any]) -> None:
    """Which of two is right cannot be known, so neither is used."""
    with pytest.raises(MetadataError, match="two different manifests"):
        choose([closure(2), closure(2, name="again/x", tag="again", **changes), closure(1)], RUNNER)


def test_two_agreeing_manifests_of_one_version_are_one() -> None:
    """A release that was published under two tags is found."""
    assert choose([closure(2), closure(2, name="again/x", tag="again")], RUNNER).version == 2


def test_other_targets_are_left_alone() -> None:
    """Images and check sums carry no `custom`, and later fields do not disturb."""
    targets = described({"toplevel": RUNNER, "version": 1, "system": "runner", "later": {}})
    targets.targets["v1/disk.img"] = TargetFile(5, {"sha512": "x"}, "v1/disk.img")
    assert [found.name for found in closures(targets)] == ["v1/a"]


@pytest.mark.parametrize(
    "custom",
    [
        {"toplevel": RUNNER},
        {"toplevel": "/etc/passwd", "version": 1, "system": "x"},
        {"toplevel": RUNNER, "version": "1", "system": "x"},
        {"toplevel": RUNNER, "version": -1, "system": "x"},
        {"toplevel": RUNNER, "version": 1, "system": ""},
    ],
)
def test_a_target_described_wrongly_is_an_error(custom: dict[str, Any]) -> None:
    """A publisher that signs nonsense is told which target it is."""
    with pytest.raises(MetadataError, match="v1/a"):
        closures(described(custom))


@pytest.mark.parametrize("name", ["a", "/a", "v1/", "../a", "v1/../a", "v1/a/b", "v1/a?b", "v1/.a", "v1/a b", "v1/%2e"])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    """A name is appended to an address and must stay below it."""
    with pytest.raises(MetadataError):
        closures(described({"toplevel": RUNNER, "version": 1, "system": "x"}, name))


@pytest.mark.parametrize("changes", [{"length": 65 << 20}, {"hashes": {"md5": "0" * 32}}, {"hashes": {"sha256": "0"}}])
def test_a_manifest_needs_a_sane_length_and_a_sha256(changes: dict[str, Any]) -> None:
    """Whatever else is signed, the bytes are named by SHA-256 and fit into memory."""
    with pytest.raises(MetadataError):
        closures(described({"toplevel": RUNNER, "version": 1, "system": "x"}, **changes))
