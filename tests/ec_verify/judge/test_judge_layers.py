"""What may lie on the store directory, and above its paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ec_verify.observe.layers import StoreLayers
from ec_verify.observe.mounts import Mount
from ec_verify.observe.upper import UpperEntry, UpperLayer

if TYPE_CHECKING:
    from tests.ec_verify.conftest import Names, Scene

    from ec_closure.findings import Severity
    from ec_verify.config_tables import StoreLayersKind


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

    assert [("EV318", "fail"), ("EV201", "fail")] == weights(scene)


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


def write(scene: Scene, *entries: UpperEntry, **more: int) -> Scene:
    """Let the root be an overlay that holds these entries."""
    return scene.observe(written=UpperLayer(entries, **more))


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/machine-id", "/etc/passwd-", "/etc/shadow", "/etc/.clean", "/etc/NIXOS", "/etc/resolv.conf.bak"),
        *("/etc/ssh/ssh_host_ed25519_key.pub", "/etc/NetworkManager/system-connections/home.nmconnection"),
    ],
)
def test_what_a_system_writes_to_etc_is_no_finding(scene: Scene, path: str) -> None:
    """NixOS, systemd and their tools."""
    assert [] == weights(write(scene, UpperEntry(path, "file")))


def test_links_into_trusted_paths_are_no_finding(scene: Scene, names: type[Names]) -> None:
    """As activation makes them, wherever they are."""
    found = write(
        scene,
        UpperEntry("/etc/static", "symlink", target=f"{names.system}/etc"),
        UpperEntry("/bin/sh", "symlink", target=f"{names.tool}/bin/sh"),
        UpperEntry("/lib64/ld-linux-x86-64.so.2", "symlink", target=names.library),
        UpperEntry("/etc/systemd/system", "symlink", target="/etc/static/systemd/system"),
        UpperEntry("/etc/hosts", "symlink", target="/etc/static/hosts"),
        UpperEntry("/etc/sudoers", "file", copy_of=names.text),
    )

    assert [] == weights(found)


@pytest.mark.parametrize(
    ("path", "target", "code"),
    [
        ("/etc/static", "/tmp/etc", "EV318"),  # noqa: S108 - a name, no file
        ("/bin/sh", "/nix/store/" + "0" * 32 + "-evil/bin/sh", "EV318"),
        ("/bin/sh", "{tool}/../../../tmp/sh", "EV318"),
        ("/etc/systemd/system", "/etc/static/systemd/user", "EV318"),
        ("/etc/hosts", "/etc/static/../hosts", "EV319"),
        ("/usr/bin/env", "/etc/static/usr/bin/env", "EV318"),
    ],
)
def test_links_that_lead_elsewhere_are_told(
    scene: Scene, names: type[Names], path: str, target: str, code: str
) -> None:
    """Also when they only begin as a trusted one does."""
    write(scene, UpperEntry(path, "symlink", target=target.format(tool=names.tool)))

    assert [code] == [found for found, _ in weights(scene)]


@pytest.mark.parametrize(
    ("path", "weight"),
    [
        ("/nix/evil", "fail"),
        ("/etc/systemd/system/evil.service", "fail"),
        ("/etc/static", "fail"),
        ("/usr/bin/evil", "fail"),
        ("/lib/modules/evil.ko", "fail"),
        ("/boot/initrd", "fail"),
        ("/etc/ld.so.preload", "warn"),
        ("/opt/tool", "warn"),
        ("/evil", "warn"),
    ],
)
def test_places_of_the_system_weigh_more(scene: Scene, path: str, weight: Severity) -> None:
    """Deleting there weighs as much as writing."""
    code = "EV318" if weight == "fail" else "EV319"

    assert [(code, weight)] == weights(write(scene, UpperEntry(path, "file")))
    assert [(code, weight)] == weights(write(scene, UpperEntry(path, "other", "whiteout")))
    assert "deletes what lay there" in scene.message(code)


def test_copy_of_what_nobody_signed_is_told(scene: Scene, names: type[Names]) -> None:
    """The bytes are those of a store path, but of none that is trusted."""
    assert ["EV319"] == [
        code for code, _ in weights(write(scene, UpperEntry("/etc/x", "file", copy_of=names.store_path("evil"))))
    ]


def test_without_a_manifest_links_into_the_store_are_believed(scene: Scene, names: type[Names]) -> None:
    """Nothing is trusted then, and activation is no attack."""
    write(scene, UpperEntry("/bin/sh", "symlink", target=f"{names.tool}/bin/sh")).trust(manifest=None)

    assert "EV318" not in [code for code, _ in weights(scene)]


def test_policy_allows_more(scene: Scene) -> None:
    """Also in places of the system."""
    scene.policy(allowed_upper=["/opt/*", "/usr/local/*"])

    assert [] == weights(write(scene, UpperEntry("/opt/x/y", "file"), UpperEntry("/usr/local/bin/x", "file")))


def test_many_entries_are_twenty_and_a_number(scene: Scene) -> None:
    """What was not even kept is counted too."""
    write(scene, *(UpperEntry(f"/opt/{number:03}", "file") for number in range(50)), more=7)
    messages = [finding.message for finding in scene.judge().findings]

    assert 22 == len(messages)
    assert {"the upper layer of the root has 30 more entries of that kind, the first /opt/020"} < set(messages)
    assert "the upper layer of the root has 7 more entries, not looked at" in messages


def test_root_that_was_not_seen_is_said_in_coverage(scene: Scene) -> None:
    """The level is that of bytes, and stands."""
    scene.observe(written=UpperLayer(unknown=("the upper layer of the root, /gone: not there",)))
    judged = scene.judge()
    (covered,) = (one for one in judged.coverage if one.step == "running state")

    assert "passed" == judged.verdict
    assert "the upper layer of the root, /gone: not there" in covered.reasons
