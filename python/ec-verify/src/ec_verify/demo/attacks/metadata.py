"""Attacks on what a NAR does not hold: modes, owners, attributes and times."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ec_verify.demo.attacks.attack import Attack
from ec_verify.demo.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from ec_verify.demo.node import Node

_SOMEBODY = 65533


def _target(node: Node, name: str = "publisher-1.4") -> Path:
    path = node.path(name)
    node.attacked = [path]
    return Store(node.root).physical(path)


def _init(node: Node) -> Path:
    return _target(node, "appliance-system-files") / "system" / "init"


def set_uid(node: Node) -> None:
    """Set the set-user-ID bit."""
    _init(node).chmod(0o4555)


def make_writable(node: Node) -> None:
    """Let everybody write."""
    _target(node).chmod(0o666)


def give_away(node: Node) -> None:
    """Change the owner."""
    os.chown(_target(node), _SOMEBODY, _SOMEBODY)


def add_capability(node: Node) -> None:
    """Give a program a capability of root."""
    node.lab.programs.run(["setcap", "cap_sys_admin+ep", _init(node)])


def touch(node: Node) -> None:
    """Leave a time stamp behind."""
    os.utime(_target(node))


ATTACKS = (
    Attack("set-user-id", "Set-user-ID bit", "made the init script run as root", set_uid, frozenset({"EV206"})),
    Attack("mode", "Writable file", "made the publisher writable by everybody", make_writable, frozenset({"EV203"})),
    Attack(
        "owner",
        "Changed owner",
        "gave the publisher to another user",
        give_away,
        frozenset({"EV204"}),
        needs_root=True,
    ),
    Attack(
        "capability",
        "File capability",
        "gave the init script a capability of root",
        add_capability,
        frozenset({"EV207"}),
        needs_root=True,
    ),
    Attack(
        "time-stamp",
        "Time stamp",
        "wrote to the publisher and put its bytes back",
        touch,
        frozenset({"EV205"}),
        verdict="passed",
    ),
)
