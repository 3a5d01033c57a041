"""Names and versions of packages, told apart as Nix does."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_release.attesting import store_name

HASH = "0" * 32


@pytest.mark.parametrize(
    ("name", "output", "expected"),
    [
        ("hello-2.12.1", "out", ("hello", "2.12.1")),
        ("glibc-2.39-52-bin", "bin", ("glibc", "2.39-52")),
        ("glibc-2.39-52-bin", None, ("glibc", "2.39-52-bin")),
        ("etc-fstab", None, ("etc-fstab", None)),
        ("python3.13-rich-14.1.0", "out", ("python3.13-rich", "14.1.0")),
        ("linux-6.12.1-modules-shrunk", "out", ("linux", "6.12.1-modules-shrunk")),
        ("gtk+-2.24", "out", ("gtk+", "2.24")),
        ("x-", None, ("x-", None)),
        ("-1", None, ("-1", None)),
        ("a--1", None, ("a", "-1")),
        ("dev", "dev", ("dev", None)),
        ("-dev", "dev", ("-dev", None)),
        ("unit-1-dev", "dev", ("unit", "1")),
    ],
)
def test_the_version_begins_after_the_first_dash_that_no_letter_follows(
    name: str, output: str | None, expected: tuple[str, str | None]
) -> None:
    """An output that is known belongs to neither."""
    found = store_name.read(f"{HASH}-{name}", output)

    assert expected == (found.name, found.version)
    assert HASH == found.hash_part


@pytest.mark.parametrize(
    ("name", "output", "purl"),
    [
        ("hello-2.12.1", "out", f"pkg:nix/hello@2.12.1?outputhash={HASH}"),
        ("glibc-2.39-52-bin", "bin", f"pkg:nix/glibc@2.39-52?output=bin&outputhash={HASH}"),
        ("gtk+-2.24+git?x=1", None, f"pkg:nix/gtk%2B@2.24%2Bgit%3Fx%3D1?outputhash={HASH}"),
        ("etc-fstab", None, None),
    ],
)
def test_packages_have_an_address(name: str, output: str | None, purl: str | None) -> None:
    """As scanners read it, with what the specification reserves escaped; what has no version is no package."""
    assert purl == store_name.read(f"{HASH}-{name}", output).purl


@given(st.from_regex(r"[0-9A-Za-z+._?=-]{1,60}", fullmatch=True), st.sampled_from([None, "out", "bin", "dev"]))
def test_nothing_of_a_name_gets_lost(name: str, output: str | None) -> None:
    """Name, version and output make the store path's name again."""
    found = store_name.read(f"{HASH}-{name}", output)
    stem = found.name if found.version is None else f"{found.name}-{found.version}"

    assert name in {stem, f"{stem}-{output}"}
    assert found.name
    assert found.version != ""


@pytest.mark.nix
def test_nix_tells_the_same() -> None:
    """For every kind of name."""
    if shutil.which("nix-instantiate") is None:
        pytest.skip("there is no nix-instantiate on the PATH")
    names = ["hello-2.12.1", "python3.13-rich-14.1.0", "a--1", "gtk+-2.24", "etc-fstab", "linux-6.12.1-x", "a-b-3c"]
    texts = " ".join(f'"{name}"' for name in names)
    asked = f'map (n: let p = builtins.parseDrvName n; in p.name + "|" + p.version) [ {texts} ]'
    done = subprocess.run(
        ["nix-instantiate", "--eval", "--strict", "-E", asked], capture_output=True, text=True, check=True
    )
    ours = [store_name.read(f"{HASH}-{name}", None) for name in names]

    assert done.stdout.replace('"', "").strip(" []\n").split() == [f"{one.name}|{one.version or ''}" for one in ours]
