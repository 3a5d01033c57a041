"""On this very kernel: the host name, and which rights are enough. In namespaces: this machine keeps its own name."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.root
SCRIPT = Path(sys.executable).with_name("ec-provision")
MODULE = Path(__file__).parents[2] / "nixos/modules/provision.nix"
NODE = """schema = "ec-runner.node.v1"
name = "runner-7"
ssh_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"]
[[broadcast]]
name = "pattern"
input = "test:"
"""
PREPARE = """
set -eu
mount -t tmpfs run /run
mount -t tmpfs lib /var/lib
mkdir -m 0700 /var/lib/every-channel
cat > /var/lib/every-channel/node.toml
chmod 0600 /var/lib/every-channel/node.toml
"""
LOOK = """
uname -n
stat -Lc '%a %G %n' /run/every-channel/node.json /run/every-channel/broadcasts/pattern.toml
"""


def inside(script: str, node: str = NODE) -> subprocess.CompletedProcess[str]:
    """Run *script* where /run and /var/lib are empty and the host name is nobody else's."""
    if shutil.which("setpriv") is None:
        pytest.skip("there is no setpriv on the PATH")
    environment = {name: value for name, value in os.environ.items() if name != "CREDENTIALS_DIRECTORY"}
    return subprocess.run(
        ["unshare", "--mount", "--uts", "--propagation", "private", "sh", "-c", PREPARE + script, "sh", SCRIPT],
        input=node,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def capabilities() -> str:
    """Return what the unit of the NixOS module may have, as `setpriv` wants it."""
    (listed,) = re.findall(r"CapabilityBoundingSet = \[(.*?)\]", MODULE.read_text(), re.DOTALL)
    names = re.findall(r'"CAP_(\w+)"', listed)
    assert names
    return ",".join(["-all", *(f"+{name.lower()}" for name in names)])


def test_the_unit_has_the_rights_that_it_needs() -> None:
    """The host name is set, and a group is given its files, with the capabilities of the module and no more."""
    before = socket.gethostname()
    done = inside(f'setpriv --no-new-privs --bounding-set {capabilities()} "$1" apply --group daemon' + LOOK)

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.splitlines()[1:] == [
        "runner-7",
        "644 root /run/every-channel/node.json",
        "640 daemon /run/every-channel/broadcasts/pattern.toml",
    ]
    assert before == socket.gethostname()


def test_without_the_right_to_rename_nothing_is_changed() -> None:
    """Exit code 3, one line, and no file."""
    done = inside('setpriv --bounding-set -all "$1" apply || echo "exit $?"; ls /run/every-channel')

    assert ["exit 3"] == done.stdout.split("\n")[:-1]
    assert "ec-provision: the host name cannot be set: Operation not permitted" in done.stderr


def test_bad_data_leave_the_host_name() -> None:
    """It is looked at last."""
    done = inside('"$1" apply || echo "exit $?"; uname -n; ls -d /run/every*', NODE.replace("test:", "nonsense"))

    assert ["exit 2", socket.gethostname()] == done.stdout.splitlines()
    assert "line 6: broadcast[0].input" in done.stderr
