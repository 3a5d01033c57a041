"""The process that keeps dnsmasq: it starts it again, gives up, and ends with the server, however that ends."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from ec_netboot.boot import keeper

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait before starting again."""
    monkeypatch.setattr(keeper, "_FIRST", 0.0)


def test_what_ends_is_started_again_and_given_up(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Six times in a row; each end is told."""
    read, write = os.pipe()
    try:
        assert keeper.keep(["sh", "-c", f"echo x >> {tmp_path}/runs; exit 3"], read) == 1
    finally:
        os.close(read)
        os.close(write)

    assert (tmp_path / "runs").read_text() == "x\n" * 6
    assert capfd.readouterr().err.count("ec-netboot: sh ended with 3") == 6


def test_what_recovered_is_not_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends that lie far apart are not added up."""
    monkeypatch.setattr(keeper, "_LONG_ENOUGH", -1.0)
    read, write = os.pipe()
    script = f"echo x >> {tmp_path}/runs; test $(wc -l < {tmp_path}/runs) -lt 20 || exec cat {tmp_path}/fifo"
    os.mkfifo(tmp_path / "fifo")
    thread = threading.Thread(target=keeper.keep, args=(["sh", "-c", script], read))
    thread.start()
    with (tmp_path / "fifo").open("wb"):  # opens when the twentieth reads it
        os.close(write)
        thread.join()
    os.close(read)

    assert (tmp_path / "runs").read_text() == "x\n" * 20


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_program_ends_with_the_server(tmp_path: Path, how: signal.Signals) -> None:
    """Also when that is killed: its end of the pipe is closed by the kernel."""
    for name in ("pid", "never"):
        os.mkfifo(tmp_path / name)
    server = (
        "import os, subprocess, sys\n"
        "r, w = os.pipe()\n"
        "subprocess.Popen([sys.executable, '-I', *sys.argv[1:]], stdin=r)\n"
        "os.close(r)\n"
        "sys.stdin.read()\n"
    )
    script = f"echo $$ > {tmp_path}/pid; exec cat {tmp_path}/never"  # which nobody ever writes to
    with subprocess.Popen(
        [sys.executable, "-c", server, keeper.__file__, "sh", "-c", script], stdin=subprocess.PIPE
    ) as process:
        descriptor = os.pidfd_open(int((tmp_path / "pid").read_text()))
        process.send_signal(how)
        process.wait()
    assert select.select([descriptor], [], [], 30)[0]
    os.close(descriptor)


def test_it_needs_no_library(tmp_path: Path) -> None:
    """An interpreter that knows nothing but its own runs it: Nix gives programs their libraries, not interpreters."""
    read, write = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-I", "-S", keeper.__file__, "sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 600"],
        stdin=read,
    ) as process:
        os.close(read)
        os.close(write)
        assert process.wait(30) == 0
