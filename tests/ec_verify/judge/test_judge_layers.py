"""What may lie on the store directory, and above its paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ec_verify.observe.layers import StoreLayers
from ec_verify.observe.mounts import Mount
from ec_verify.observe.upper import UpperEntry

if TYPE_CHECKING:
    from tests.ec_verify.conftest import Names, Scene

    from ec_closure.findings import Severity
    from ec_verify.config import StoreLayersKind


def on_store(kind: str) -> Mount:
    """Return a mount on the store directory."""
    return Mount("/nix/store", kind, "source", "/", "rw")


def weights(scene: Scene) -> list[tuple[str, Severity]]:
    """Return code and weight of every finding."""
    return [(finding.code, finding.severity) for finding in scene.judge().findings]


@pytest.mark.parametrize(
    ("wanted", "declared", "mounted", "good"),
    [
        ("auto", None, [], True),
        ("auto", None, ["tmpfs"], False),
        ("auto", "overlay", ["overlay"], True),
        ("auto", "overlay", ["tmpfs"], False),
        ("auto", "ext4", ["ext4"], True),
        ("auto", "none", ["ext4"], True),
        ("auto", "auto", ["btrfs"], True),
        ("auto", "none", ["overlay"], False),
        ("auto", "ext4", ["overlay"], False),
        ("auto", "ext4", ["ext4", "overlay"], False),
        ("auto", "overlay", ["overlay", "overlay"], False),
        ("plain", "overlay", ["overlay"], False),
        ("plain", None, [], True),
        ("mount", None, ["ext4"], True),
        ("mount", None, ["overlay"], False),
        ("overlay", None, ["overlay"], True),
        ("overlay", None, ["ext4"], False),
        ("overlay", None, [], True),
    ],
)
def test_one_mount_of_the_wanted_kind_may_lie_on_the_store(
    scene: Scene,
    wanted: StoreLayersKind,
    declared: str | None,
    mounted: list[str],
    good: bool,  # noqa: FBT001 - a table
) -> None:
    """By configuration, or by the fstab of the running system."""
    scene.set(store_layers=wanted)
    scene.observe(layers=StoreLayers(tuple(map(on_store, mounted)), declared))

    assert ([] if good else [("EV317", "fail")]) == weights(scene)


@pytest.mark.parametrize(
    ("entry", "lower", "weight"),
    [
        ({"kind": "other", "mark": "whiteout", "below": True}, None, "fail"),
        ({"kind": "directory", "mark": "opaque"}, None, "fail"),
        ({"kind": "directory", "mark": "redirect"}, "good", "fail"),
        ({"kind": "file", "mark": "metacopy"}, "good", "fail"),
        ({"kind": "file", "below": True}, "good", "warn"),
        ({"kind": "file", "below": None}, None, "warn"),
        ({"kind": "file", "below": True}, "evil", "fail"),
        ({"kind": "file", "below": False}, None, None),
    ],
)
def test_entries_above_signed_paths_weigh_by_what_they_do(
    scene: Scene, names: type[Names], entry: dict[str, object], lower: str | None, weight: str | None
) -> None:
    """A copy of the same bytes is worth a look; what came later is like any other path."""
    signed = next(record for record in scene.case.trust.manifest.paths if record.path == names.tool)  # type: ignore[union-attr]
    below = {}
    if lower is not None:
        below = {names.tool: names.look_of(signed, nar_hash=signed.nar_hash if lower == "good" else names.sri(lower))}
    scene.observe(layers=StoreLayers(upper=(UpperEntry(names.tool, **entry),), below=below))  # type: ignore[arg-type]

    assert ([] if weight is None else [("EV318", weight)]) == weights(scene)


def test_altered_copy_is_told_beside_its_bytes(scene: Scene, names: type[Names]) -> None:
    """The bytes say that it differs, the layer where that was done."""
    scene.look(names.tool, nar_hash=names.sri("evil"))
    scene.observe(layers=StoreLayers(upper=(UpperEntry(names.tool, "file", below=True),)))

    assert [("EV201", "fail"), ("EV318", "fail")] == weights(scene)


def test_entries_above_other_paths_are_no_finding(scene: Scene, names: type[Names]) -> None:
    """What an image holds beyond the system may be collected."""
    scene.observe(layers=StoreLayers(upper=(UpperEntry(names.store_path("other"), "other", "whiteout", below=True),)))

    assert [] == weights(scene)


def test_layers_that_were_not_seen_are_said_in_coverage(scene: Scene) -> None:
    """The level stands: what processes read was hashed."""
    scene.observe(layers=StoreLayers(unknown=("the upper layer of the store, /gone: not there",)))
    judged = scene.judge()
    (covered,) = (one for one in judged.coverage if one.step == "bytes")

    assert ("passed", "bytes", "partly") == (judged.verdict, judged.level_reached, covered.status)
    assert "the upper layer of the store, /gone: not there" in covered.reasons
