"""The tests' forge as a program: prints its address, and at the end of its input the seconds that uploads took."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.ec_release.forge import server

if TYPE_CHECKING:
    from tests.ec_release.forge.contract import Operation


def main(directory: Path) -> None:
    """Serve until standard input ends, then remove *directory*."""
    spent: list[float] = []
    genuine = server.Exchange._create_attachment

    def timed(self: server.Exchange, operation: Operation) -> None:
        begun = time.perf_counter()
        genuine(self, operation)
        spent.append(time.perf_counter() - begun)

    server.Exchange._create_attachment = timed  # type: ignore[method-assign]
    try:
        with server.serving(directory) as forge:
            sys.stdout.write(f"{forge.url}\n")
            sys.stdout.flush()
            sys.stdin.read()
            sys.stdout.write(f"{sum(spent)}\n")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
