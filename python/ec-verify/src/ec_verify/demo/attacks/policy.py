"""Attacks on what may run and what may be excused: releases of the past, systems of other machines, old promises."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from ec_verify.demo.attacks.attack import Attack
from ec_verify.demo.attacks.contents import BACK_DOOR
from ec_verify.demo.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from ec_verify.demo.node import Node, Result

_PUBLISHER = "publisher-1.4"
_LONG_AGO = datetime.date(2020, 1, 1)
_FAR_AHEAD = datetime.date(2099, 12, 31)
_ACCEPTED = """
[[accept]]
code = "{code}"
pattern = "publisher-*"
owner = "image team"
reason = "the installer of these nodes did this"
expires = {expires}
"""


def _publisher_says(node: Node, command: str, version: int, site: Path | None = None) -> None:
    """Let the publisher tell every node something about releases, with *command* of `ec-release trust`."""
    releases = node.lab.serve_copy(node, site).directory / "releases"
    keys = node.lab.ci.keys / "release"
    node.lab.programs.run(
        ["ec-release", "trust", command, str(version), "--directory", releases, "--keys", keys],
    )


def run_withdrawn(node: Node) -> None:
    """Stay on a release that its publisher has withdrawn."""
    _publisher_says(node, "withdraw", node.release.manifest.release.version)
    node.attacked = [node.release.toplevel]


def other_was_withdrawn(node: Node) -> None:
    """Run a release while another one was withdrawn."""
    _publisher_says(node, "withdraw", node.lab.second.release.manifest.release.version, node.lab.second.site)


def run_below_minimum(node: Node) -> None:
    """Stay on a release below the lowest that its publisher still accepts."""
    second = node.lab.second
    _publisher_says(node, "min-version", second.release.manifest.release.version, second.site)
    node.attacked = [node.release.toplevel]


def run_minimum(node: Node) -> None:
    """Run exactly the lowest release that its publisher still accepts."""
    _publisher_says(node, "min-version", node.release.manifest.release.version)


def run_system_of_others(node: Node) -> None:
    """Run a system that CI signed, on a machine that has no business to run it."""
    node.write_policy({"systems": ["dashboard-*"]})
    node.attacked = [node.release.toplevel]


def run_system_of_mine(node: Node) -> None:
    """Run the one kind of system that policy names."""
    node.write_policy({"systems": ["dashboard-*", f"{node.release.manifest.system.name}*"]})


def _rescue(node: Node) -> str:
    """Boot the rescue system that is part of the signed one, and return its path."""
    rescue = node.release.manifest.system.specialisations["rescue"]
    for link in ("run/current-system", "run/booted-system"):
        (node.root / link).unlink()
        (node.root / link).symlink_to(rescue)
    return rescue


def boot_rescue(node: Node) -> None:
    """Boot the rescue system where policy forbids that."""
    node.attacked = [_rescue(node)]
    node.write_policy({"allow_specialisations": False})


def may_boot_rescue(node: Node) -> None:
    """Boot the rescue system where nothing forbids that."""
    _rescue(node)


def names_the_specialisation(_node: Node, result: Result) -> str | None:
    """Ask that the report says which specialisation runs."""
    return None if "EV117" in result.codes else "nothing says that a specialisation runs"


def _accept(node: Node, code: str, expires: datetime.date) -> None:
    node.policy.write_text(node.policy.read_text() + _ACCEPTED.format(code=code, expires=expires))


def _make_writable(node: Node) -> None:
    path = node.path(_PUBLISHER)
    Store(node.root).physical(path).chmod(0o644)
    node.attacked = [path]


def rely_on_old_acceptance(node: Node) -> None:
    """Leave the publisher writable, which was accepted once and until a day that is over."""
    _make_writable(node)
    _accept(node, "EV203", _LONG_AGO)


def rely_on_acceptance(node: Node) -> None:
    """Leave the publisher writable, which is accepted for now."""
    _make_writable(node)
    _accept(node, "EV203", _FAR_AHEAD)


def hide_behind_acceptance(node: Node) -> None:
    """Alter the publisher, whose mode is accepted: the entry speaks of another code."""
    path = node.path(_PUBLISHER)
    store = Store(node.root)
    store.overwrite(path, store.physical(path).read_bytes() + BACK_DOOR)
    _accept(node, "EV203", _FAR_AHEAD)
    node.attacked = [path]


def keep_old_excuse(node: Node) -> None:
    """Keep an old entry in the register, for the day on which it is needed."""
    node.write_policy(register_expires=_LONG_AGO.isoformat())


ATTACKS = (
    Attack(
        "withdrawn",
        "Withdrawn release",
        "keeps the node on a release that its publisher has withdrawn",
        run_withdrawn,
        frozenset({"EV109"}),
        on_store=False,
    ),
    Attack(
        "withdrawn-other",
        "Another release was withdrawn",
        "did nothing; the publisher withdrew a release that does not run here",
        other_was_withdrawn,
        frozenset(),
        verdict="passed",
        on_store=False,
    ),
    Attack(
        "below-minimum",
        "Release below the minimum",
        "keeps the node on a release below the lowest that its publisher still accepts",
        run_below_minimum,
        frozenset({"EV110"}),
        on_store=False,
    ),
    Attack(
        "at-minimum",
        "Release at the minimum",
        "did nothing; the publisher set the lowest release to the one that runs",
        run_minimum,
        frozenset(),
        verdict="passed",
        on_store=False,
    ),
    Attack(
        "system-of-others",
        "Signed system of another kind of machine",
        "made the node run a system that CI signed for other machines",
        run_system_of_others,
        frozenset({"EV116"}),
        on_store=False,
    ),
    Attack(
        "system-allowed",
        "Signed system that policy names",
        "did nothing; policy names the system that runs",
        run_system_of_mine,
        frozenset(),
        verdict="passed",
        on_store=False,
    ),
    Attack(
        "forbidden-specialisation",
        "Specialisation that policy forbids",
        "booted the rescue system, which is signed like any other and opens more doors",
        boot_rescue,
        frozenset({"EV116"}),
        on_store=False,
    ),
    Attack(
        "specialisation",
        "Specialisation of the signed system",
        "booted the rescue system where nothing forbids it",
        may_boot_rescue,
        frozenset(),
        verdict="passed",
        on_store=False,
        holds=names_the_specialisation,
    ),
    Attack(
        "expired-acceptance",
        "Expired acceptance",
        "left the publisher writable, which policy accepted until a day that is over",
        rely_on_old_acceptance,
        frozenset({"EV203", "EV910"}),
    ),
    Attack(
        "accepted",
        "Accepted finding",
        "did nothing; the publisher's mode is known and accepted for now",
        rely_on_acceptance,
        frozenset(),
        verdict="passed",
    ),
    Attack(
        "behind-acceptance",
        "Hiding behind an acceptance",
        "altered the publisher, for which policy accepts a mode",
        hide_behind_acceptance,
        frozenset({"EV201"}),
    ),
    Attack(
        "expired-register-unused",
        "Expired excuse that nothing needs yet",
        "keeps an old entry in the register of unreproducible paths, for the day on which it is needed",
        keep_old_excuse,
        frozenset({"EV504"}),
        on_store=False,
    ),
)
