"""`./dev bench [--rounds N] [CASE …]`: figures beside the peers', as Markdown on standard output."""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench import broadcast, closure, evaluation, judge, publishing, rebuild, rescan, sbom, scan, start

CASES = {
    "broadcast": broadcast.case,
    "scan": scan.case,
    "rescan": rescan.case,
    "closure": closure.case,
    "rebuild": rebuild.case,
    "evaluation": evaluation.case,
    "judge": judge.case,
    "sbom": sbom.case,
    "publishing": publishing.case,
    "start": start.case,
}


def main() -> int:
    """Run the cases that were asked for, each in a directory of its own."""
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all when none is given")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count [5]")
    options = parser.parse_args()
    unknown = sorted(set(options.cases) - CASES.keys())
    if unknown or options.rounds < 1:
        parser.error(f"no such case: {', '.join(unknown)}" if unknown else "--rounds must be at least 1")
    nix = subprocess.run(["nix", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    sys.stdout.write(f"{platform.machine()}, {platform.system()} {platform.release()}, {nix}\n\n")
    # Beside the cases' own directories lies what they share: the large store.
    with tempfile.TemporaryDirectory(prefix="ec-bench-") as room:
        for name in options.cases or CASES:
            directory = Path(room) / name
            directory.mkdir()
            sys.stdout.write(CASES[name](directory, options.rounds) + "\n")
            sys.stdout.flush()
    return 0


sys.exit(main())
