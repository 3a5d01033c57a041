"""Checks of the flake that are decided when they are evaluated, without building them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
# The other platform's are the same by construction, and cost the same again.
SYSTEM = "x86_64-linux"


@pytest.fixture(scope="module")
def problems(value_of: Callable[[str], Any]) -> dict[str, list[str]]:
    """Give what each check that judges while it is evaluated complains about."""
    found: dict[str, list[str]] = value_of(
        "flake: builtins.mapAttrs (_: check: check.problems) (flake.inputs.nixpkgs.lib.filterAttrs "
        f"(_: check: check ? problems) flake.checks.{SYSTEM})"
    )
    return found


def test_systems_are_what_the_verifier_is_told(problems: dict[str, list[str]]) -> None:
    """Name, attribute, embedded flake and its inputs, Nix: a slip in one makes every run of every node fail."""
    assert [] == problems["systems"]


def test_options_are_narrow_and_described(problems: dict[str, list[str]]) -> None:
    """A mistake ends the build, and an operator learns what an option does from its description."""
    assert [] == problems["options"]


def test_no_option_puts_a_secret_into_the_store(problems: dict[str, list[str]]) -> None:
    """Everybody reads the store: a file with a secret is named, and one in the store is refused."""
    assert [] == problems["secrets"]


def test_packages_say_what_they_are(problems: dict[str, list[str]]) -> None:
    """Description, licence, and the program that `nix run` starts."""
    assert [] == problems["meta"]


def test_nodes_run_what_was_tested(problems: dict[str, list[str]]) -> None:
    """The lock is solved against nixpkgs' versions; an update of one needs one of the other."""
    assert [] == problems["versions"]


def test_the_options_reference_is_what_the_modules_say(value_of: Callable[[str], Any]) -> None:
    """`docs/options.md` is generated: `tests/nix/evaluate --raw --apply 'flake: flake.lib.optionsReference'`."""
    assert value_of("flake: flake.lib.optionsReference") == (ROOT / "docs" / "options.md").read_text()


def test_a_problem_is_named_in_the_check(value_of: Callable[[str], Any]) -> None:
    """A system that is called otherwise than its attribute does not pass."""
    found = value_of(
        "flake: let lib = flake.inputs.nixpkgs.lib; wrong = flake.nixosConfigurations.ec-runner-x86_64.extendModules "
        '{ modules = [ { services.every-channel.runner.name = lib.mkForce "another"; } ]; }; '
        "inputs = flake.inputs // { self = flake // { nixosConfigurations = { ec-runner-x86_64 = wrong; }; }; }; in "
        f'(import "${{flake}}/nixos/checks" {{ inherit inputs lib; system = "{SYSTEM}"; '
        f"pkgs = flake.inputs.nixpkgs.legacyPackages.{SYSTEM}.extend flake.overlays.default; }}).systems.problems"
    )

    assert "ec-runner-x86_64: runner.name is another, not ec-runner-x86_64" in json.dumps(found)
