"""Which release is staged: by version, by name, and never one that signed metadata exclude."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ec_fetch.errors import MetadataError, NoTargetError
from ec_fetch.targets import Asset, ClosureTarget
from ec_netboot.errors import RollbackError
from ec_netboot.release import Generation, ImageFile, Release, Standing
from ec_netboot.staging.choose import Candidate, candidates, choose

TOPLEVEL = f"/nix/store/{'0' * 32}-system"


def asset(tag: str, name: str | None = None) -> Asset:
    """Return a published file of the release *tag*."""
    name = name or f"ec-runner-x86_64-netboot-{tag}-0123abc.tar.zst"
    return Asset(f"{tag}/{name}", tag, name, "a" * 64, 10)


def closure(tag: str, version: int, system: str = "ec-runner-x86_64-netboot") -> ClosureTarget:
    """Return a manifest of the release *tag*."""
    return ClosureTarget(f"{tag}/{system}.closure.json.zst", tag, version, TOPLEVEL, system, "b" * 64, 10)


def known(*versions: int) -> list[Candidate]:
    """Return the images of releases that are called after their versions."""
    return candidates([asset(f"v{one}") for one in versions], [closure(f"v{one}", one) for one in versions], "x86_64")


def served(version: int) -> dict[str, Any]:
    """Return what is served."""
    file = ImageFile(sha256="a" * 64, size=1)
    release = Release(
        platform="x86_64",
        source="signed" if version else "unsigned",
        tag="t",
        version=version,
        asset="a",
        archive="a" * 64,
        files={"kernel": file},
        arguments="",
        toplevel=TOPLEVEL,
        staged=0,
    )
    return {"served": release, "generation": Generation(number=1, release="a" * 64, reason="staged", made=0)}


def version_of(chosen: Candidate | None) -> int | None:
    """Return the version of what was chosen."""
    return chosen and chosen.version


def test_the_newest_by_version_not_by_name() -> None:
    """Tags are names; the counter that only grows decides."""
    found = candidates([asset("v9"), asset("v10")], [closure("v9", 3), closure("v10", 2)], "x86_64")

    assert choose(found, Standing(checked=0), "x86_64") == found[-1]
    assert found[-1].tag == "v9"


@pytest.mark.parametrize(
    "name",
    [
        "ec-runner-x86_64-netboot-v1-0123abc.tar.gz",
        "ec-runner-x86_64-netboot-v1.tar.zst",
        "ec-runner-x86_64-netboot-v1-xyz.tar.zst",
        "ec-runner-x86_64-netboot-v2-0123abc.tar.zst",
        "ec-runner-aarch64-netboot-v1-0123abc.tar.zst",
        "ec-runner-x86_64-iso-v1-0123abc.tar.zst",
        "SHA256SUMS",
    ],
)
def test_other_files_are_no_images(name: str) -> None:
    """Of other platforms, other releases, or other kinds."""
    assert candidates([asset("v1", name)], [closure("v1", 1)], "x86_64") == []


def test_a_release_without_version_is_left_out() -> None:
    """It could be neither withdrawn nor told from an older one."""
    assert candidates([asset("v1")], [], "x86_64") == []


def test_a_manifest_of_another_system_gives_the_version_alone() -> None:
    """The image is not compared with a system that it does not boot."""
    (found,) = candidates([asset("v1")], [closure("v1", 4, "ec-runner-x86_64")], "x86_64")

    assert (found.version, found.manifest) == (4, None)


def test_two_images_of_one_release_are_refused() -> None:
    """Nobody could tell which is meant."""
    two = [asset("v1"), asset("v1", "ec-runner-x86_64-netboot-v1-fffffff.tar.zst")]

    with pytest.raises(MetadataError, match="two images for x86_64"):
        candidates(two, [closure("v1", 1)], "x86_64")


def test_two_versions_of_one_release_are_refused() -> None:
    """The higher one would outlive a withdrawal."""
    with pytest.raises(MetadataError, match="two versions"):
        candidates([asset("v1")], [closure("v1", 1), closure("v1", 2, "other")], "x86_64")


@pytest.mark.parametrize("standing", [Standing(withdrawn=(3,), checked=0), Standing(min_version=4, checked=0)])
def test_what_metadata_exclude_is_never_chosen(standing: Standing) -> None:
    """Not as the newest, and not by its name."""
    with pytest.raises(RollbackError):
        choose(known(3), standing, "x86_64", pinned="v3")
    with pytest.raises(NoTargetError, match="no release that may be served"):
        choose(known(3), standing, "x86_64")


def test_an_older_release_needs_its_name() -> None:
    """The newest image may have been taken out of the metadata: then somebody decides, not a timer."""
    with pytest.raises(RollbackError, match="of release 2, and 3 is served") as caught:
        choose(known(1, 2), Standing(checked=0), "x86_64", **served(3))

    assert "--tag v2" in str(caught.value.hint)

    assert version_of(choose(known(1, 2), Standing(checked=0), "x86_64", pinned="v1", **served(3))) == 1


def test_what_is_withdrawn_makes_room_for_an_older_one() -> None:
    """Signed metadata say that it must not be served: that is no rollback."""
    assert version_of(choose(known(1, 2, 3), Standing(withdrawn=(3,), checked=0), "x86_64", **served(3))) == 2


def test_a_choice_by_hand_stays_until_there_is_something_newer() -> None:
    """A timer does not undo what somebody decided."""
    state = served(1)
    state["generation"] = replace_held(state["generation"], 3)

    assert choose(known(1, 2, 3), Standing(checked=0), "x86_64", **state) is None
    assert version_of(choose(known(1, 2, 3), Standing(checked=0), "x86_64", again=True, **state)) == 3
    assert version_of(choose(known(1, 2, 3, 4), Standing(checked=0), "x86_64", **state)) == 4


def replace_held(generation: Generation, held: int) -> Generation:
    """Return *generation* as chosen when *held* was the newest."""
    return Generation(number=generation.number, release=generation.release, reason="chosen", held=held, made=0)


def test_an_archive_of_the_operators_is_replaced_by_what_is_signed() -> None:
    """It has no version to be older than."""
    assert version_of(choose(known(1), Standing(checked=0), "x86_64", **served(0))) == 1


def test_an_unknown_tag_is_named() -> None:
    """Nothing is staged in its place."""
    with pytest.raises(NoTargetError, match="v7"):
        choose(known(1), Standing(checked=0), "x86_64", pinned="v7")


def test_names_are_compared_as_a_whole() -> None:
    """A tag that is the beginning of another finds its own image."""
    found = candidates(
        [asset("v1"), asset("v1-rc", "ec-runner-x86_64-netboot-v1-rc-0123abc.tar.zst")],
        [closure("v1", 2), replace(closure("v1-rc", 1))],
        "x86_64",
    )

    assert [(one.tag, one.version) for one in found] == [("v1-rc", 1), ("v1", 2)]
