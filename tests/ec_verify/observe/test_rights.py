"""A service with few rights says what it did not see."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ec_verify.observe import rights

FIRST = "         0          0 4294967295\n"


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel tell of a process that may trace and nothing else, in the first user namespace."""
    (tmp_path / "status").write_text("Name:\tx\nCapEff:\t0000000000080000\n")
    (tmp_path / "uid_map").write_text(FIRST)
    monkeypatch.setattr(rights, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(rights, "_UID_MAP", tmp_path / "uid_map")


@pytest.mark.usefixtures("say")
def test_what_is_missing_is_named() -> None:
    """Bits are those of linux/capability.h."""
    assert ["", " (CAP_SYS_ADMIN is missing)", " (CAP_CHECKPOINT_RESTORE is missing)"] == [
        rights.lacking(one) for one in ("CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE")
    ]


@pytest.mark.usefixtures("say")
def test_powers_in_a_user_namespace_are_none_over_the_machine() -> None:
    """Everybody is root in a namespace of their own."""
    rights._UID_MAP.write_text("0 1000 1\n")

    assert not rights.has("CAP_SYS_PTRACE")


def test_where_the_kernel_does_not_tell_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails says so itself."""
    monkeypatch.setattr(rights, "_STATUS", tmp_path / "none")

    assert rights.has("CAP_SYS_ADMIN")


LOOK = """
import json, subprocess, sys
from ec_verify.location import StoreLocation
from ec_verify.observe import processes
from ec_verify.observe.places import HostPlaces
# Somebody with as few powers, whose libraries may be named whatever else runs on this machine.
program = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
other = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
other.stdout.readline()
# The directory of the C library plays the store: what lies there must be opened to be compared.
seen = processes.observe(HostPlaces(StoreLocation(store_dir=sys.argv[1])))
other.communicate()
print(json.dumps([seen.examined, list(seen.gaps)]))
"""


@pytest.mark.root
@pytest.mark.parametrize(
    ("kept", "missing"),
    [
        ("", ["CAP_SYS_PTRACE", "CAP_CHECKPOINT_RESTORE"]),
        ("+sys_ptrace", ["CAP_CHECKPOINT_RESTORE"]),
        ("+sys_ptrace,+checkpoint_restore", []),
        ("+sys_ptrace,+sys_admin", []),
    ],
)
def test_processes_are_not_passed_over_in_silence(kept: str, missing: list[str]) -> None:
    """Neither one that could not be read nor a library that could not be opened, by a real root with few powers."""
    if shutil.which("setpriv") is None:
        pytest.skip("there is no setpriv on the PATH")
    lines = Path("/proc/self/maps").read_text().splitlines()
    store = Path(next(line.split()[-1] for line in lines if re.search(r"/libc[.-]\S*$", line))).parent
    # As its service has it: files of other users, such as where their libraries are, may be read.
    bounds = ",".join(["-all", "+dac_read_search", *filter(None, [kept])])
    command = ["setpriv", f"--bounding-set={bounds}", "--inh-caps=-all", sys.executable, "-c", LOOK, str(store)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)

    examined, gaps = json.loads(ran.stdout)
    assert examined
    assert missing == [
        name for name in ("CAP_SYS_PTRACE", "CAP_CHECKPOINT_RESTORE") if f"({name} is missing)" in " ".join(gaps)
    ]
