"""Rules weigh by whether they run programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ec_verify.observe import rules
from ec_verify.observe.host import Host
from ec_verify.observe.rules import RuleFile, Rules

if TYPE_CHECKING:
    from tests.ec_verify.conftest import Scene

    from ec_verify.observe.rules import Kind

ROOT = 'ACTION=="add|change", SUBSYSTEM=="block", ENV{MAJOR}=="254", ENV{MINOR}=="1", SYMLINK+="root"'
NODES = "c! /dev/fuse 0600 - - - 10:229\nd /dev/net 0755 - - -\nc! /dev/net/tun 0600 - - - 10:200\n"


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        ("udev", 'KERNEL=="sda", RUN+="/evil"', "fail"),
        ("udev", 'KERNEL=="sda", RU\\\n# comment\nN{program}+="/evil"', "fail"),
        ("udev", 'IMPORT {program}="/evil"', "fail"),
        ("udev", 'TAG+="systemd", ENV{SYSTEMD_WANTS}+="evil.service"', "fail"),
        ("udev", 'KERNEL=="sda", MODE="0666"', "warn"),
        ("udev", f"{ROOT}\n", None),
        ("udev", f'{ROOT}\n{ROOT}, MODE="0666"\n', "warn"),
        ("udev", '# nothing\nLABEL="x" # RUN+="/evil"', "fail"),
        ("modprobe", "install usb_storage /evil", "fail"),
        ("modprobe", "options a \\\nb\n\tremove\tx /evil", "fail"),
        ("modprobe", "options a install=1", "warn"),
        ("sysctl", "kernel.core_pattern=|/evil", "fail"),
        ("sysctl", "a=b\\\n-kernel/*_pattern = |/evil", "fail"),
        ("sysctl", "vm.swappiness=10", "warn"),
        ("binfmt", ":x:M::MZ::/evil:OC", "fail"),
        ("binfmt", "# nothing\n; nothing", "warn"),
        ("polkit", "polkit.addRule(function () { return 'yes'; })", "fail"),
        ("dbus", "[D-BUS Service]\nName=x\nExec = /evil", "fail"),
        ("tmpfiles", NODES, None),
        ("tmpfiles", f"{NODES}L+ /run/x - - - - /evil", "warn"),
        ("tmpfiles", "c /dev/../etc/x 0600 - - - 1:1", "warn"),
        ("tmpfiles", "f+ /run/systemd/system/x.service - - - - /dev/fuse", "warn"),
        ("users", "u evil 0", "warn"),
        ("modules", "evil", "warn"),
        ("extension", "", "warn"),
    ],
)
def test_rules_weigh_by_whether_they_run_something(scene: Scene, kind: Kind, text: str, found: str | None) -> None:
    """Of what is there without anybody's doing, nothing is said."""
    file = RuleFile("/run/x/a", kind, rules.parse(text))
    findings = scene.observe(host=Host(rules=Rules((file,)))).judge().findings

    assert [("EV320", found)] * (found is not None) == [(one.code, one.severity) for one in findings]


@pytest.mark.parametrize(
    ("file", "found"),
    [
        (RuleFile("/run/x/a", "udev", target="/dev/null"), ["warn"]),
        (RuleFile("/run/x/a", "udev", target="/nix/store/x"), ["warn"]),
        (RuleFile("/run/x/a", "udev", flaw="is no regular file"), ["fail"]),
        (RuleFile("/run/x/allowed", "udev", ("RUN",)), []),
    ],
)
def test_links_and_what_cannot_be_read_are_told(scene: Scene, file: RuleFile, found: list[str]) -> None:
    """Policy may allow them."""
    scene.policy(allowed_units=("allowed",))

    assert found == [one.severity for one in scene.observe(host=Host(rules=Rules((file,)))).judge().findings]
