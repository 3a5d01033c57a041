"""`python -m tests.bench.beside [--segments N]`: whether a broadcast loses pictures while its node is verified.

A live broadcast (`tests.bench.latency`: every picture has a number) is measured alone, and then while `ec-verify run
--level full` runs again and again: on a real store, with 400 MiB to hash and four builders that keep both processors
busy. Nothing runs in a unit of systemd here, so of all that a runner's units set (weights of processor and disk) only
niceness is tried.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.bench import latency

from ec_verify.demo.lab import Lab

BUSY = "i=0; while [ $i -lt 3000000 ]; do i=$((i + 1)); done"
LARGE = 'j=0; while [ $j -lt 100 ]; do printf "%*s" 1048576 $j; j=$((j + 1)); done >> "$out"'
_PARTS = ("editor", "initrd", "publisher", "tls")


class Laborious(Lab):
    """An appliance some of whose parts are large, and take long to build."""

    def build_system(self) -> None:
        """Build it."""
        self.ci.prepare(f"{platform.machine()}-linux")
        for name in _PARTS:
            part = self.ci.repository / "parts" / f"{name}.nix"
            head, quotes, tail = part.read_text().rpartition("''")
            if not quotes:
                raise RuntimeError(f"{part} has no script")
            part.write_text(f"{head}  {BUSY}\n  {LARGE}\n{quotes}{tail}")
        self.ci.commit("Parts that are large, and take long")
        self.ci.build()


def verify(lab: Lab, ended: threading.Event, took: list[float]) -> None:
    """Verify a node again and again; *took* gets the seconds of each run."""
    while not ended.is_set():
        # A copy each time, whose caches know nothing.
        node = lab.clone_node(f"run-{len(took)}")
        begun = time.monotonic()
        result = lab.verify(node, "--level", "full")
        if (result.verdict, result.exit) != ("passed", 0):
            raise RuntimeError(f"the run did not pass: {result.stderr[-2000:]}")
        took.append(time.monotonic() - begun)


def run(directory: Path, count: int) -> str:
    """Measure *count* segments alone and as many beside, and return tables in Markdown."""
    alone, beside = directory / "alone", directory / "beside"
    alone.mkdir()
    beside.mkdir()
    with Laborious(directory / "lab") as lab:
        lab.build()
        shown = ["#### Alone", "", latency.run(alone, count)]
        ended, took = threading.Event(), list[float]()
        verifying = threading.Thread(target=verify, args=(lab, ended, took))
        verifying.start()
        try:
            table = latency.run(beside, count)
        finally:
            ended.set()
            verifying.join()
    runs = ", ".join(f"{one:.0f} s" for one in took)
    return "\n".join([*shown, f"#### Beside `ec-verify run --level full` ({runs})", "", table])


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.beside", description=__doc__)
    parser.add_argument("--segments", type=int, default=45)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ec-bench-") as room:
        sys.stdout.write(run(Path(room), options.segments))


if __name__ == "__main__":
    main()
