"""Which tags an image gets: two classes, which do not mix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_release.container import tags, version
from ec_release.container.errors import EventError, VersionError
from ec_release.container.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Command = Callable[..., tuple[int, str, str]]

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MAIN = {"event": "push", "ref": "refs/heads/main", "commit": COMMIT, "owner": "Every-Channel"}
TAG = {**MAIN, "ref": "refs/tags/v1.2.3"}


def test_ci_names_commits_and_the_edge() -> None:
    """In small letters, as registries want them."""
    found = tags.of_event("ci", **MAIN)

    assert found.name == "ghcr.io/every-channel/runner-dashboard"
    assert found.all == (f"git-{COMMIT}", "edge")
    assert found == tags.of_event("ci", **{**MAIN, "event": "workflow_dispatch"})


def test_releases_are_named_by_their_version() -> None:
    """And are the latest, unless they come before a release proper."""
    assert tags.of_event("release", **TAG).all == ("v1.2.3", "latest")
    assert tags.of_event("release", **{**TAG, "ref": "refs/tags/v1.2.3-rc.1"}).all == ("v1.2.3-rc.1",)


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("ci", {"event": "pull_request"}),
        ("ci", {"event": "pull_request", "ref": "refs/pull/7/merge"}),
        ("ci", {"event": "schedule"}),
        ("ci", {"ref": "refs/heads/mainly"}),
        ("ci", {"ref": "refs/heads/feature"}),
        ("ci", {"ref": "refs/tags/v1.2.3"}),
        ("ci", {"ref": "refs/tags/main"}),
        ("ci", {"ref": "main"}),
        ("release", {"ref": "refs/heads/main"}),
        ("release", {"ref": "refs/heads/v1.2.3"}),
        ("release", {"event": "workflow_dispatch", "ref": "refs/tags/v1.2.3"}),
        ("release", {"event": "pull_request", "ref": "refs/tags/v1.2.3"}),
        ("release", {"ref": "refs/tags/v1.2"}),
        ("release", {"ref": "refs/tags/v01.2.3"}),
        ("release", {"ref": "refs/tags/v1.2.3-edge"}),
        ("release", {"ref": "refs/tags/v1.2.3+build"}),
        ("release", {"ref": "refs/tags/latest"}),
        ("release", {"ref": "refs/tags/edge"}),
        ("release", {"ref": "refs/tags/boot-v1"}),
        ("release", {"ref": "refs/tags/v1.2.3\n"}),
        ("ci", {"commit": "0123456"}),
        ("ci", {"commit": COMMIT.upper()}),
        ("ci", {"owner": ""}),
        ("ci", {"owner": "a/b"}),
        ("ci", {"owner": "-a"}),
        ("ci", {"owner": "a b"}),
        ("ci", {"registry": "ghcr.io/other"}),
        ("ci", {"registry": ""}),
    ],
)
def test_what_publishes_nothing_of_a_class_is_refused(kind: Any, changed: dict[str, str]) -> None:
    """Other events, other refs, the other class's refs, and what is no commit, owner or host."""
    with pytest.raises(EventError):
        tags.of_event(kind, **{**MAIN, **changed})


@given(st.text("v0123456789.-rcabetlph/", max_size=16))
def test_no_ref_names_images_of_both_classes(end: str) -> None:
    """Whatever the ref is, at most one class takes it, and their tags have nothing in common."""
    found = []
    for kind in ("ci", "release"):
        for start in ("refs/heads/", "refs/tags/"):
            try:
                found.append(tags.of_event(kind, **{**MAIN, "ref": start + end}))
            except EventError:
                continue
    assert len(found) <= 1
    assert not {"edge"} & {tag for one in found for tag in one.all if one.fixed.startswith("v")}


numbers = st.integers(0, 999_999_999)
versions = st.builds(Version, numbers, numbers, numbers) | st.builds(
    Version, numbers, numbers, numbers, st.sampled_from(["alpha", "beta", "rc"]), numbers
)


@given(versions)
def test_versions_are_read_as_they_are_written(one: Version) -> None:
    """By us, in both spellings of their own."""
    assert one == version.parse(one.tag)
    assert version.is_release(one.tag)
    assert one.tag == f"v{one.text}"


def test_versions_sort_as_semver_has_them() -> None:
    """Numbers as numbers, pre-releases before their release."""
    order = [
        "v0.9.0",
        "v1.0.0-alpha.1",
        "v1.0.0-beta.2",
        "v1.0.0-rc.1",
        "v1.0.0-rc.2",
        "v1.0.0",
        "v1.0.1",
        "v1.0.10",
        "v10.0.0",
    ]

    assert order == [one.tag for one in sorted(version.parse(tag) for tag in reversed(order))]
    assert ["1.0.0a1", "1.0.0b2", "1.0.0rc1"] == [version.parse(tag).python for tag in order[1:4]]


@pytest.mark.parametrize(
    "tag", ["1.2.3", "v1.2.3.4", "v1.2.3-rc1", "v1.2.3-rc.01", "V1.2.3", "v-1.2.3", "", "v1.2.3 ", "v9999999999.0.0"]
)
def test_what_is_no_version_is_refused(tag: str) -> None:
    """Other spellings would be other tags of the same release."""
    assert not version.is_release(tag)
    with pytest.raises(VersionError):
        version.parse(tag)


def test_the_latest_is_the_highest_release() -> None:
    """A fix of an old line does not take it; pre-releases and other tags do not count."""
    assert tags.is_newest("v1.0.0", ())
    assert tags.is_newest("v1.0.0", ("v1.0.0", "v0.9.0", "edge", "git-1", "latest", "v2.0.0-rc.1"))
    assert not tags.is_newest("v1.0.5", ("v1.0.4", "v2.0.0"))


def event(**changed: str) -> list[str]:
    """Return the options that tell an event."""
    return [word for name, value in {**MAIN, **changed}.items() for word in (f"--{name}", value)]


def test_later_steps_get_the_names(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As outputs of the step, and on standard output."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    code, out, err = command("image-tags", "--class", "release", *event(ref="refs/tags/v1.2.3-rc.1"), "--json")

    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "image": "ghcr.io/every-channel/runner-dashboard",
        "fixed": "v1.2.3-rc.1",
        "moving": "none",
    }
    lines = (tmp_path / "output").read_text().splitlines()
    assert [lines[number] for number in (1, 4, 7)] == ["ghcr.io/every-channel/runner-dashboard", "v1.2.3-rc.1", ""]


def test_mixing_classes_exits_with_2(command: Command) -> None:
    """The hint says what does publish such an image."""
    code, out, err = command("image-tags", "--class", "ci", *event(ref="refs/tags/v1.2.3"))

    assert (code, out) == (2, "")
    assert "hint: what does: a push to main" in err
