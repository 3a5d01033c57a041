"""systemd itself, asked what it would run: its test mode loads units and prints them, and starts nothing."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NOBODY = 65534
_UNIT = re.compile(r"\t-> Unit (.+):")


def _find() -> str | None:
    """Return the manager's program, which is not on every PATH."""
    return shutil.which("systemd") or shutil.which("systemd", path="/usr/lib/systemd:/lib/systemd")


@pytest.fixture(scope="session")
def runs_of() -> Callable[[Mapping[str, bytes]], dict[str, list[list[str]]]]:
    """Return what asks systemd for the argument vectors that it would execute for each of some units."""
    if _find() is None:
        pytest.skip("systemd is not installed, which judges what units run")
    try:
        _ask({"probe.service": b"[Service]\nExecStart=/x\n"})
    except subprocess.CalledProcessError as error:
        pytest.skip(f"systemd cannot load units here: {error.stderr.decode(errors='replace')}")
    return _ask


def _ask(units: Mapping[str, bytes]) -> dict[str, list[list[str]]]:
    """Return the argument vectors that systemd would execute for each of *units*; those that it refuses are left out.

    One run for all of them: it takes a tenth of a second. Where a program is told another name for itself, that name
    stands in its place. Raises `subprocess.CalledProcessError`.
    """
    program = _find()
    assert program is not None
    with tempfile.TemporaryDirectory(prefix="ec-units-") as name:
        base, run = Path(name) / "units", Path(name) / "run"
        Path(name).chmod(0o755)
        base.mkdir()
        run.mkdir()
        run.chmod(0o777)
        for unit, data in units.items():
            (base / unit).write_bytes(data)
        (base / "all.target").write_text("[Unit]\n" + "".join(f"Wants={unit}\n" for unit in units))
        # It refuses to test as root.
        user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        done = subprocess.run(
            [program, "--user", "--test", "--unit=all.target"],
            env={"HOME": name, "XDG_RUNTIME_DIR": str(run), "SYSTEMD_UNIT_PATH": str(base)},
            capture_output=True,
            timeout=60,
            check=True,
            **user,
        )
    found: dict[str, list[list[str]]] = {}
    unit = ""
    for line in done.stdout.decode(errors="surrogateescape").split("\n"):
        if match := _UNIT.fullmatch(line):
            unit = match[1]
        elif unit not in units:
            continue
        elif line == "\t\tUnit Load State: loaded":
            found[unit] = []
        elif line.startswith("\t\t\tCommand Line: ") and unit in found:
            found[unit].append(shlex.split(line.removeprefix("\t\t\tCommand Line: ").replace("\\$", "$")))
    return found
