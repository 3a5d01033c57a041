"""The units of docs/rights.md are what the document says of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ec_verify import main

DOC = Path(__file__).parents[2] / "docs" / "rights.md"
UNITS = dict(
    zip(("fetch", "bytes", "rebuild"), re.findall(r"```ini\n(.*?)```", DOC.read_text(), re.DOTALL), strict=True)
)
LIMITS = {"fetch": 2.0, "bytes": 2.5, "rebuild": 5.5}
TABLE = DOC.read_text().partition("## What is lost")[0]


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_as_closed_as_it_says(tmp_path: Path, name: str) -> None:
    """By systemd's own measure."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze on the PATH")
    file = tmp_path / f"ec-verify-{name}.service"
    file.write_text(UNITS[name])
    command = ["systemd-analyze", "security", "--offline=true", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unrecognized option" in ran.stderr:
        pytest.skip("this systemd-analyze judges no unit files")

    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", ran.stdout)
    assert found is not None, ran.stderr
    assert float(found[1]) <= LIMITS[name]


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_starts_a_command_that_exists(name: str) -> None:
    """With options that it takes, without the network where it has none."""
    (line,) = re.findall(r"^ExecStart=/usr/bin/ec-verify (.*)$", UNITS[name], re.MULTILINE)

    assert 0 == main.run([*line.split(), "--help"])
    assert ("--offline" in line) == (name != "fetch")


@pytest.mark.parametrize("name", ["bytes", "rebuild"])
def test_a_unit_has_the_capabilities_of_the_table(name: str) -> None:
    """What the units keep stands in the table, and nothing is kept for nothing."""
    kept = {
        one for line in re.findall(r"^CapabilityBoundingSet=(.*)$", UNITS[name], re.MULTILINE) for one in line.split()
    }
    row = TABLE.partition("| `run --level bytes")[2]
    told = set(re.findall(r"CAP_[A-Z_]+", row if name == "rebuild" else row.partition("\n")[0]))

    assert kept <= told
    # Who has CAP_SYS_ADMIN needs the weaker one no more; who has no overlay needs neither.
    assert told - kept <= {"CAP_CHECKPOINT_RESTORE"} | ({"CAP_SYS_ADMIN"} if name == "bytes" else set())


def test_every_command_has_its_row() -> None:
    """A new one needs its rights thought through."""
    named = set(re.findall(r"`([a-z-]+)[ `]", TABLE))

    assert {*main._COMMANDS, *main._GROUPS} - {"demo", "self-test"} <= named | {"run"}
