"""What a flake's outputs come to, with real Nix: also where one of them is broken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ec_closure.errors import UsageError
from ec_release.commands.matrix import matrix
from ec_release.images.cache import Caches
from ec_release.images.errors import NamingError, OutputError
from ec_release.images.outputs import Flake

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.nix
SYSTEM = "x86_64-linux"
THROWN = """packages.x86_64-linux = {
  a = d "a" { };
  t = throw "thrown on purpose";
  u = assert false; d "u" { };
  z = d "z" { };
};"""
BROKEN = """packages.x86_64-linux = {
  a = d "a" { };
  b = d "b" { args = [ { }.missing ]; };
  c = 1 + "c";
  d = 5;
  e = d "e" { };
};"""
IMAGES = """
packages.x86_64-linux = {
  plain = d "plain" { };
  one-image = image "one" { };
  two-image = image "two" { meta.ci.publish = false; };
  odd-image = image "odd" { meta.ci.publish = "false"; };
  bare-image = d "bare" { };
  gone-image = image "gone" { meta.ci.skip = true; };
};
checks.x86_64-linux.three-image = image "three" { };
"""


@pytest.fixture
def rows(in_store: Any, command: Callable[..., tuple[int, str, str]]) -> Callable[..., dict[str, Any]]:
    """Give a function that runs `ec-release matrix` on a flake and returns its result."""
    assert in_store

    def call(flake: Any, *arguments: str) -> dict[str, Any]:
        code, out, err = command("matrix", "--flake", flake.top, "--system", SYSTEM, "--json", *arguments)
        assert code == 0, err
        result: dict[str, Any] = json.loads(out)
        return result

    return call


def states(result: dict[str, Any]) -> dict[str, str]:
    """Return what becomes of each output."""
    return {f"{row['category']}.{row['name']}": row["status"] for row in result["matrix_include"]} | {
        row["output"]: row["status"] for row in result["left_out"]
    }


def test_packages_and_checks_of_one_system(new_flake: Any, rows: Any) -> None:
    """Other systems and other kinds of outputs are none of its business."""
    flake = new_flake(
        'packages.x86_64-linux.a = d "a" { }; packages.aarch64-linux.b = d "b" { };'
        'checks.x86_64-linux.c = d "c" { }; devShells.x86_64-linux.d = d "d" { };'
    )

    assert states(rows(flake)) == {"packages.a": "build", "checks.c": "build"}


@pytest.mark.parametrize("outputs", ["", "packages = { };", 'checks.aarch64-linux.c = d "c" { };'])
def test_what_is_missing_is_no_work(new_flake: Any, rows: Any, outputs: str) -> None:
    """No packages, no checks, none for this system: an empty matrix, and no failure."""
    result = rows(new_flake(outputs))

    assert (result["has_work"], result["matrix_include"], result["images"]) == (False, [], [])


def test_what_throws_is_a_row_that_fails(new_flake: Any, rows: Any) -> None:
    """The others are told as if it were not there."""
    assert states(rows(new_flake(THROWN))) == {
        "packages.a": "build",
        "packages.t": "error",
        "packages.u": "error",
        "packages.z": "build",
    }


@pytest.mark.parametrize("at_once", [1, 2, 3, 32])
def test_what_ends_an_evaluation_is_found(new_flake: Any, rows: Any, at_once: int) -> None:
    """Nix cannot catch a missing attribute or a wrong type: halving finds the outputs, however many go together."""
    assert states(rows(new_flake(BROKEN), f"--at-once={at_once}")) == {
        "packages.a": "build",
        "packages.b": "error",
        "packages.c": "error",
        "packages.d": "error",
        "packages.e": "build",
    }


def test_reasons_are_nixs(new_flake: Any, in_store: Any) -> None:
    """People read what they would read if they evaluated it themselves, also of what was caught."""
    assert in_store
    found = Flake(new_flake(THROWN).top).outputs("packages", SYSTEM, 32)
    assert {one.name: one.error for one in found} | {"u": None} == {
        "a": None,
        "t": "thrown on purpose",
        "u": None,
        "z": None,
    }
    broken = {one.name: one.error or "" for one in Flake(new_flake(BROKEN, "other").top).outputs("packages", SYSTEM, 9)}
    assert "attribute 'missing' missing" in broken["b"]
    assert broken["d"] == "is no derivation"


def test_a_flake_that_is_none_is_refused(new_flake: Any, in_store: Any) -> None:
    """Nothing to tell the names of: that is no empty matrix."""
    assert in_store
    flake = new_flake("packages = nothing.here;")
    with pytest.raises(OutputError, match="nothing"):
        Flake(flake.top).outputs("packages", SYSTEM, 32)


def test_images_are_packages_that_copy_themselves(new_flake: Any, rows: Any) -> None:
    """A check called so is none, nor is what has no `copyTo`; only `false` withholds one."""
    result = rows(new_flake(IMAGES))

    assert result["images"] == ["odd-image", "one-image"]
    assert {row["name"] for row in result["matrix_include"] if row["is_image"]} == {
        "odd-image",
        "one-image",
        "two-image",
    }
    assert states(result)["packages.gone-image"] == "skipped"
    assert states(result)["checks.three-image"] == "build"


@pytest.mark.parametrize(
    "meta",
    [
        'ci = "skip"',
        'ci.skip = "true"',
        "ci.skip = 1",
        "ci.skip = [ true ]",
        "ci = x: x",
        'ci = throw "no"',
        "ci.skip = null",
    ],
)
def test_only_true_skips(new_flake: Any, rows: Any, meta: str) -> None:
    """Whatever else stands in `meta.ci`, the output is built: a slip never leaves one out."""
    flake = new_flake(f'packages.x86_64-linux.a = d "a" {{ }} // {{ meta.{meta}; }};')

    assert states(rows(flake)) == {"packages.a": "build"}


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("plain", "plain"),
        ("with.dot", '"with.dot"'),
        ("9lives", "9lives"),
        ("c++", '"c++"'),
        ("it's", "it's"),
        ("checks", "checks"),
    ],
)
def test_names_are_such_that_nix_finds_the_output(
    new_flake: Any, rows: Any, in_store: Any, name: str, attribute: str
) -> None:
    """Dots and such are quoted: what the job builds is the output that was evaluated."""
    flake = new_flake(f'packages.x86_64-linux."{name}" = d "x" {{ args = [ "-c" "echo found > $out" ]; }};')
    (row,) = rows(flake)["matrix_include"]
    assert row["flake_attr"] == f"packages.x86_64-linux.{attribute}"
    installable = f"git+file://{flake.top}#{row['flake_attr']}.drvPath"
    assert in_store.run("nix", "eval", "--raw", installable).endswith("-x.drv")


@pytest.mark.parametrize("name", ["a^out", "%61", 'quo\\"te', "new\\nline", "", "-rf", "a/../b", "\\${x}"])
def test_names_that_nix_would_read_otherwise_fail_by_themselves(new_flake: Any, rows: Any, name: str) -> None:
    """None of them may come to build another output."""
    flake = new_flake(f'packages.x86_64-linux = {{ "{name}" = d "x" {{ }}; a = d "a" {{ }}; }};')
    found = {row["status"]: row["flake_attr"] for row in rows(flake)["matrix_include"]}

    assert found == {
        "build": "packages.x86_64-linux.a",
        "error": 'packages.x86_64-linux."a name that cannot be given to Nix"',
    }


def test_what_a_store_has_is_left_out_and_images_are_not(new_flake: Any, rows: Any, in_store: Any) -> None:
    """First all is to be built; then, built here, only the image is left, since it must be pushed."""
    flake = new_flake(
        'packages.x86_64-linux = { a = d "cached-a" { }; b-image = image "cached-b" { }; c = d "c" { }; };'
    )
    for name in ("a", "b-image"):
        in_store.run("nix", "build", "--no-link", f"git+file://{flake.top}#{name}")

    assert states(rows(flake)) == {"packages.a": "cached", "packages.b-image": "cached", "packages.c": "build"}
    assert [row["name"] for row in rows(flake)["matrix_include"]] == ["b-image", "c"]


def test_what_a_binary_cache_has_is_left_out(new_flake: Any, in_store: Any, rows: Any, tmp_path: Path) -> None:
    """Without being here; of two outputs, both must be there."""
    flake = new_flake(
        'packages.x86_64-linux = { a = d "far-a" { }; '
        'two = d "far-two" { outputs = [ "out" "dev" ]; args = [ "-c" "echo > $out; echo > $dev" ]; }; };'
    )
    cache = f"file://{tmp_path}/cache"
    built = [in_store.run("nix", "eval", "--raw", f"git+file://{flake.top}#{name}.outPath") for name in ("a", "two")]
    in_store.run("nix", "build", "--no-link", *(f"git+file://{flake.top}#{name}" for name in ("a", "two")))
    in_store.run("nix", "copy", "--to", cache, *built)
    in_store.run("nix-store", "--delete", *built)

    assert states(rows(flake)) == {"packages.a": "build", "packages.two": "build"}
    assert states(rows(flake, "--cache", cache)) == {"packages.a": "cached", "packages.two": "build"}
    assert states(rows(flake, "--option", "substituters", cache)) == {"packages.a": "cached", "packages.two": "build"}
    assert states(rows(flake, "--option", "substituters", cache, "--local-only"))["packages.a"] == "build"


def test_a_cache_that_is_not_there_costs_building_alone(in_store: Any, tmp_path: Path) -> None:
    """Nothing is skipped on its word."""
    assert in_store
    caches = Caches(addresses=[f"file://{tmp_path}/none", "http://127.0.0.1:1"])

    assert caches.holding([(f"{in_store.store_dir}/{'0' * 32}-x",), ("/1placeholder",), ()]) == [False, False, False]


def test_the_system_is_checked(in_store: Any) -> None:
    """It becomes a part of attribute paths and of Nix text."""
    assert in_store
    for system in ("x86_64", 'x86_64-linux"', "../x-y", "x86_64-linux;", ""):
        with pytest.raises(NamingError, match="is no system"):
            matrix(flake=in_store.root, system=system)
    with pytest.raises(UsageError, match="at least 1"):
        matrix(flake=in_store.root, at_once=0)


def test_kinds_of_outputs_can_be_chosen(new_flake: Any, rows: Any) -> None:
    """Two of them, in this order; another word is a mistake."""
    flake = new_flake('packages.x86_64-linux.a = d "a" { }; checks.x86_64-linux.c = d "c" { };')
    assert states(rows(flake, "--categories", "packages")) == {"packages.a": "build"}
    assert list(states(rows(flake, "--categories", "checks, packages"))) == ["packages.a", "checks.c"]
    with pytest.raises(UsageError, match="no kind of outputs"):
        matrix(flake=flake.top, categories="packages,devShells")


def test_this_machines_system_is_the_default(new_flake: Any, in_store: Any) -> None:
    """As Nix names it."""
    assert in_store
    flake = new_flake("")

    assert Flake(flake.top).this_system().count("-") == 1
