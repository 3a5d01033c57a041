"""Following links under another root, as the machine that is examined would."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ec_verify.config_tables import SystemTable
from ec_verify.location import StoreLocation
from ec_verify.observe import running
from ec_verify.observe.running import observe, store_path_behind

if TYPE_CHECKING:
    from pathlib import Path

HASH = "0123456789abcdfghijklmnpqrsvwxyz"
SYSTEM = f"/nix/store/{HASH}-system"
OTHER = f"/nix/store/{HASH}-other"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give a root with a store of two systems."""
    for path in (SYSTEM, OTHER):
        (tmp_path / path.lstrip("/")).mkdir(parents=True)
    return tmp_path


def link(root: Path, name: str, target: str) -> None:
    """Make the link *name* under *root*."""
    place = root / name.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (SYSTEM, SYSTEM),
        (f"{SYSTEM}/", SYSTEM),
        (f"{SYSTEM}/bin/sh", SYSTEM),
        (f"/nix/store/../store/{HASH}-system", SYSTEM),
        (f"../nix/store/{HASH}-system", SYSTEM),
        (f"../../../../nix/store/{HASH}-system", SYSTEM),
        (f"/./nix//store/./{HASH}-system", SYSTEM),
        (f"{SYSTEM}/../{HASH}-other", OTHER),
        (f"/nix/store/{HASH}-gone", f"/nix/store/{HASH}-gone"),
        ("/etc/passwd", None),
        ("/nix/store", None),
        ("/nix/store/", None),
        ("/nix/storehouse/x", None),
        (f"{SYSTEM}/../../../tmp", None),
        ("/", None),
        ("nowhere", None),
        ("/nix/store/.links/x", None),
        ("/nix/store/evil", None),
        (f"/nix/store/{HASH}-evil\n", None),
        (os.fsdecode(b"/nix/store/" + HASH.encode() + b"-\xff"), None),
        pytest.param("x" * 4000, None, id="long"),
    ],
)
def test_a_link_ends_in_a_store_path_or_nowhere(root: Path, target: str, found: str | None) -> None:
    """Absolute and relative targets, more than enough dots, and ways out of the store."""
    link(root, "/run/current-system", target)

    assert found == store_path_behind(StoreLocation(root), "/run/current-system")


def test_absolute_links_mean_the_root_that_is_examined(root: Path) -> None:
    """A link of the node must not lead into the machine that examines it."""
    link(root, "/etc/static", f"{OTHER}/etc")
    link(root, f"{OTHER}/etc/every-channel/flake", SYSTEM)
    link(root, "/etc/every-channel", "/etc/static/every-channel")

    assert SYSTEM == store_path_behind(StoreLocation(root), "/etc/every-channel/flake")


def test_a_store_path_that_is_a_link_itself_is_the_answer(root: Path) -> None:
    """What lies in the store directory is the object, whatever it points at."""
    alias = f"/nix/store/{HASH}-alias"
    link(root, alias, SYSTEM)
    link(root, "/run/current-system", f"{alias}/")

    assert alias == store_path_behind(StoreLocation(root), "/run/current-system")
    assert SYSTEM == store_path_behind(StoreLocation(root), f"{alias}/bin")


@pytest.mark.parametrize("targets", [["a"], ["b", "a"], ["b", "c", "/run/a"]])
def test_links_in_a_circle_lead_nowhere(root: Path, targets: list[str]) -> None:
    """Whoever bends a link into a circle must not end the run."""
    for name, target in zip("abc", targets, strict=False):
        link(root, f"/run/{name}", target)

    assert store_path_behind(StoreLocation(root), "/run/a") is None


def test_a_long_chain_is_followed_and_an_endless_one_is_not(root: Path) -> None:
    """Forty links are what the kernel follows, too."""
    link(root, "/run/0", SYSTEM)
    for number in range(1, 45):
        link(root, f"/run/{number}", f"{number - 1}")

    assert SYSTEM == store_path_behind(StoreLocation(root), "/run/39")
    assert store_path_behind(StoreLocation(root), "/run/40") is None


def test_another_store_directory_has_its_own_paths(tmp_path: Path) -> None:
    """Logical and physical are the same where the store directory itself is another."""
    store = tmp_path / "store"
    (store / f"{HASH}-system").mkdir(parents=True)
    (tmp_path / "current").symlink_to(store / f"{HASH}-system")
    location = StoreLocation(store_dir=str(store), state_dir=str(tmp_path / "var"))

    assert f"{store}/{HASH}-system" == store_path_behind(location, str(tmp_path / "current"))


def test_what_runs_is_read_from_its_links(root: Path) -> None:
    """Current, booted, profile and generations; another root says nothing of this kernel's command line."""
    link(root, "/run/current-system", SYSTEM)
    link(root, "/nix/var/nix/profiles/system", "system-2-link")
    link(root, "/nix/var/nix/profiles/system-1-link", OTHER)
    link(root, "/nix/var/nix/profiles/system-2-link", SYSTEM)
    link(root, "/nix/var/nix/profiles/system-3-link", "/elsewhere")
    link(root, "/nix/var/nix/profiles/system-4-link", "system-4-link")
    link(root, "/nix/var/nix/profiles/per-user-5-link", OTHER)

    seen = observe(StoreLocation(root), SystemTable())

    assert (SYSTEM, None, SYSTEM, (OTHER, SYSTEM)) == (seen.current, seen.booted, seen.profile, seen.generations)
    assert (None, 1) == (seen.command_line_init, len(seen.unobserved))


def test_a_profile_is_missed_where_generations_are_left(root: Path) -> None:
    """An image never had one; where its link was removed, its generations tell."""
    link(root, "/run/current-system", SYSTEM)
    assert not observe(StoreLocation(root), SystemTable()).has_profile

    link(root, "/nix/var/nix/profiles/system-1-link", SYSTEM)
    seen = observe(StoreLocation(root), SystemTable())
    assert (None, True) == (seen.profile, seen.has_profile)


@pytest.mark.parametrize(
    ("command_line", "init"),
    [
        ("", None),
        ("quiet ro", None),
        (f"root=x init={SYSTEM}/init quiet", SYSTEM),
        (f"init={SYSTEM}/init init=/bin/sh", "/bin/sh"),
        (f"init=/bin/sh init={OTHER}/init", OTHER),
        (f"init={SYSTEM}/../../../bin/sh", f"{SYSTEM}/../../../bin/sh"),
        ("init=/sbin/init", "/sbin/init"),
        ("init=", None),
        ("xinit=/bin/sh", None),
    ],
)
def test_the_last_init_of_the_command_line_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command_line: str, init: str | None
) -> None:
    """An init out of the store is told as it stands: it is another system than any."""
    (tmp_path / "cmdline").write_text(f"{command_line}\n")
    monkeypatch.setattr(running, "_COMMAND_LINE", tmp_path / "cmdline")

    seen = observe(StoreLocation(), SystemTable(current="/none", booted="/none", profile="/none/none"))

    assert (init, ()) == (seen.command_line_init, seen.unobserved)


def test_a_command_line_that_cannot_be_read_is_said_to_be_unobserved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No /proc is a gap in the coverage, not the end of the run."""
    monkeypatch.setattr(running, "_COMMAND_LINE", tmp_path / "cmdline")

    seen = observe(StoreLocation(), SystemTable(profile="/none/none"))

    assert ("kernel command line: No such file or directory",) == seen.unobserved
