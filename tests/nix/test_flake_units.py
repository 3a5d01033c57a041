"""Our units as systemd reads them: nothing misspelled, and no more rights than nixos/checks/exposure.nix grants."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

HOST_UNITS = Path("/usr/lib/systemd/system")
PROGRAM = re.compile(r"^Exec\w+=.*$", re.MULTILINE)
IN_STORE = re.compile(r"/nix/store/[\w.+?=-]+(?:/[\w.+-]+)*")
# Settings newer than the systemd that judges here are no mistakes.
NEWER = re.compile(
    r"Unknown key (name )?'(X-\w+|ImportCredential|RestartMaxDelaySec|RestartSteps)'"
    r"|Failed to parse service type, ignoring: notify-reload"
)


@pytest.fixture(scope="module")
def units(value_of: Callable[[str], Any]) -> dict[str, str]:
    """Give the text of each of our units, all features switched on."""
    if shutil.which("systemd-analyze") is None or not HOST_UNITS.is_dir():
        pytest.skip("there is no systemd-analyze, or none of systemd's own units")
    texts: dict[str, str] = value_of("flake: flake.checks.x86_64-linux.units.texts")
    return texts


@pytest.fixture(scope="module")
def limits(value_of: Callable[[str], Any]) -> dict[str, int]:
    """Give the most that each service may be exposed, in tenths."""
    found: dict[str, int] = value_of("flake: flake.checks.x86_64-linux.units.limited")
    return found


@pytest.fixture(scope="module")
def root(units: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a root directory that holds the units, systemd's own, and something where each program would be."""
    root = tmp_path_factory.mktemp("root")
    shutil.copytree(HOST_UNITS, root / "usr/lib/systemd/system", symlinks=True)
    (root / "etc/systemd/system").mkdir(parents=True)
    for name, text in units.items():
        (root / "etc/systemd/system" / name).write_text(text)
        for line in PROGRAM.findall(text):
            for program in IN_STORE.findall(line):
                file = root / program.lstrip("/")
                file.parent.mkdir(parents=True, exist_ok=True)
                if not file.exists():
                    file.write_text("#!/bin/sh\n")
                    file.chmod(0o755)
    return root


def instance(name: str) -> str:
    """Return a unit's name, of a template one of its instances."""
    return name.replace("@.", "@check.")


def test_systemd_understands_every_line(units: dict[str, str], root: Path) -> None:
    """What it does not understand it ignores, and a restriction that is misspelled is none."""
    names = [instance(name) for name in units]
    done = subprocess.run(
        ["systemd-analyze", "verify", f"--root={root}", "--man=no", "--recursive-errors=no", *names],
        capture_output=True,
        text=True,
        check=False,
    )
    about = [
        line
        for line in done.stderr.splitlines()
        if any(name in line for name in [*units, *names]) and not NEWER.search(line)
    ]

    assert [] == about


def exposure(file: Path) -> float:
    """Return how exposed systemd thinks a service is, from 0 to 10."""
    if (one := instance(file.name)) != file.name:
        file = shutil.copy(file, file.with_name(one))
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", file],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"Overall exposure level for [^:]+: (\d+\.\d)", done.stdout)
    assert found, done.stdout
    return float(found[1])


def test_every_service_has_a_limit(units: dict[str, str], limits: dict[str, int]) -> None:
    """A new service is measured, and a limit is of something that is there."""
    assert limits.keys() == {name for name in units if name.endswith(".service")}


def test_no_service_has_more_rights_than_it_needs(
    units: dict[str, str], limits: dict[str, int], root: Path, record_property: Callable[[str, object], None]
) -> None:
    """As `systemd-analyze security` counts them; what builders would inherit is left to them."""
    found = {name: exposure(root / "etc/systemd/system" / name) for name in sorted(units) if name.endswith(".service")}
    record_property("exposure", json.dumps(found))
    print("\n".join(f"{name:32} {value:4.1f} of {limits[name] / 10:4.1f}" for name, value in found.items()))  # noqa: T201

    assert {} == {name: value for name, value in found.items() if value > limits[name] / 10}
