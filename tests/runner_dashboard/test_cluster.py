"""The PostgreSQL server that tests use ends with them."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest
from tests.runner_dashboard.cluster import PROGRAMS

_OWNER = (
    "from tests.runner_dashboard.cluster import PROGRAMS, Cluster\n"
    "cluster = Cluster(PROGRAMS[0])\n"
    "print(cluster.room, cluster.guard.pid, flush=True)\n"
    "input()\n"
)
_PATIENCE = 60


@pytest.mark.skipif(not PROGRAMS, reason="no PostgreSQL server: neither on the PATH nor in /usr/lib/postgresql")
def test_nothing_of_a_server_stays_when_its_owner_is_killed() -> None:
    """Neither a process nor a file."""
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        room, guard = owner.stdout.readline().split()
        server = (Path(room) / "data" / "postmaster.pid").read_text().split()[0]
        ends = [os.pidfd_open(int(process)) for process in (server, guard)]
        owner.kill()
    try:
        for end in ends:
            assert [end] == select.select([end], [], [], _PATIENCE)[0]
    finally:
        for end in ends:
            os.close(end)
    assert not Path(room).exists()
