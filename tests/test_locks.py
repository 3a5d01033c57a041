"""The locks: what is installed is what is locked, and what is locked is what nodes get from nixpkgs."""

from __future__ import annotations

import base64
import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-uv.lock", "app/requirements.lock", "app/requirements-build.lock")
CONSTRAINTS = ROOT / "python" / "constraints.txt"
PROJECTS = sorted([*(ROOT / "python").glob("*/pyproject.toml"), ROOT / "app" / "pyproject.toml"])

_ENTRY = re.compile(
    r"^(?P<name>[a-z0-9]+(-[a-z0-9]+)*)==(?P<version>[0-9][a-z0-9.]*)"
    r"( ; (?P<marker>[^\\\n]+?))? \\\n"
    r"(?P<hashes>(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+)",
    re.MULTILINE,
)


def entries(lock: str) -> dict[str, dict[str, str | None]]:
    """Return the entries of a lock by name."""
    return {match["name"]: match.groupdict() for match in _ENTRY.finditer((ROOT / lock).read_text())}


def pins() -> dict[str, str]:
    """Return the versions in the constraints."""
    lines = [line for line in CONSTRAINTS.read_text().splitlines() if not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def project(path: Path) -> dict[str, Any]:
    """Return what a pyproject.toml says."""
    return tomllib.loads(path.read_text())


def groups(name: str) -> list[str]:
    """Return the requirements of a dependency group of the workspace."""
    found: list[str] = []
    for entry in project(ROOT / "pyproject.toml")["dependency-groups"][name]:
        found += [entry] if isinstance(entry, str) else groups(entry["include-group"])
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_nothing_but_entries_with_hashes(lock: str) -> None:
    """Exact versions, SHA-256 each: no option, no host, no address, no path."""
    text = (ROOT / lock).read_text()

    assert _ENTRY.sub("", text) == ""
    assert len(entries(lock)) == len(_ENTRY.findall(text)) > 0
    assert "//" not in text


def test_the_constraints_name_no_host() -> None:
    """Names, versions, and remarks on their own lines."""
    for line in CONSTRAINTS.read_text().splitlines():
        assert re.fullmatch(r"# [^\n]+|[a-z0-9-]+==[0-9][a-z0-9.]*", line)
        assert "//" not in line


@pytest.mark.parametrize("file", [*PROJECTS, ROOT / "pyproject.toml"], ids=lambda file: file.parent.name)
def test_the_lock_satisfies_every_dependency(file: Path) -> None:
    """Of each package, of its build, and of the groups of the workspace."""
    document = project(file)
    wanted = [*document["project"]["dependencies"], *document.get("build-system", {}).get("requires", [])]
    for group in document.get("dependency-groups", {}):
        wanted += groups(group)
    ours = {canonicalize_name(project(path)["project"]["name"]) for path in PROJECTS}
    locked = entries("requirements.lock")
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        if name not in ours:
            assert requirement.specifier.contains(locked[name]["version"] or "", prereleases=True), requirement


def test_every_package_of_ours_is_in_the_workspace() -> None:
    """The workspace itself depends on all of them, so that the lock serves all of them."""
    names = {project(path)["project"]["name"] for path in PROJECTS}
    workspace = project(ROOT / "pyproject.toml")

    assert set(workspace["project"]["dependencies"]) == names
    assert set(workspace["tool"]["uv"]["sources"]) == names


def test_the_lock_agrees_with_nixpkgs_versions() -> None:
    """Every entry is at the constraint, and every distribution that nixpkgs has not is remarked on."""
    constraints, text = pins(), CONSTRAINTS.read_text()
    locked = {name: entry["version"] for lock in LOCKS for name, entry in entries(lock).items()}
    missing = set(locked) - set(constraints)

    assert {name: locked[name] for name in constraints} == constraints
    assert all(f"# {name}: nixpkgs has " in text for name in missing)


def test_what_is_installed_is_what_is_locked() -> None:
    """The tests that pass here pass with the versions in the lock."""
    for name, entry in entries("requirements.lock").items():
        if entry["marker"] is None or Marker(entry["marker"]).evaluate():
            assert Version(version(name)) == Version(entry["version"] or ""), name


def test_wheels_for_older_nixpkgs_are_the_locked_ones() -> None:
    """The same versions with the same hashes, whoever builds."""
    text = (ROOT / "nixos" / "packages" / "wheels.nix").read_text()
    found = re.findall(r'pname = "([^"]+)";\s+version = "([^"]+)";\s+hash = "sha256-([^"]+)";', text)
    locked = entries("requirements.lock")

    assert found
    for name, wanted, digest in found:
        assert locked[name]["version"] == wanted
        assert base64.b64decode(digest).hex() in (locked[name]["hashes"] or "")


def test_uvs_own_lock_stays_out_of_git() -> None:
    """It would name the host of an index."""
    ignored = subprocess.run(["git", "check-ignore", "--quiet", "uv.lock"], cwd=ROOT, check=False)
    tracked = subprocess.run(["git", "ls-files", "uv.lock"], cwd=ROOT, check=True, capture_output=True)

    assert ignored.returncode == 0
    assert tracked.stdout == b""
