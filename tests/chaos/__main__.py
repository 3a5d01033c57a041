"""`./dev chaos [verify|publish|reports] [--seed N]`: programs are killed at random moments; figures on stdout.

`verify` kills runs of the verifier on real Nix, `publish` publishers to a forge, `reports` a dashboard that nodes
report to.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from random import Random

from tests.chaos import publishing, reports
from tests.chaos.kill import KINDS, Victim

from ec_verify.demo.lab import Lab


def main() -> int:
    """Build a world, kill, look, and tell."""
    parser = argparse.ArgumentParser(prog="./dev chaos", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["verify", "publish", "reports"], default="verify")
    parser.add_argument("--kills", type=int, help="how many runs to strike [200; of publishers 50]")
    parser.add_argument("--reports", type=int, default=10_000, help="how many reports are to be acknowledged")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random = Random(options.seed)  # noqa: S311 - to be repeated
    if options.what == "publish":
        with tempfile.TemporaryDirectory(prefix="ec-chaos-") as directory:
            sys.stdout.write(publishing.main(Path(directory), options.kills or 50, random) + "\n")
        return 0
    if options.what == "reports":
        with tempfile.TemporaryDirectory(prefix="ec-chaos-") as directory:
            sys.stdout.write(reports.main(Path(directory), options.reports, random) + "\n")
        return 0
    if os.geteuid() != 0:
        parser.error("root is needed: file systems are mounted")
    with (
        tempfile.TemporaryDirectory(prefix="ec-chaos-", ignore_cleanup_errors=True) as directory,
        Lab(Path(directory)) as lab,
    ):
        victim = Victim(lab, lab.build().clone_node("victim"))
        with victim.prepared():
            victim.whole_run()
            for number in range(options.kills or 200):
                kind = random.choice(KINDS)
                moment = random.uniform(0, victim.tally.duration * 1.1)
                sys.stderr.write(f"{number + 1}: {kind} after {moment:.2f} s\n")
                victim.strike(kind, moment, random)
                if number % 10 == 9:
                    victim.whole_run()
            victim.whole_run()
        sys.stdout.write(victim.tally.table() + "\n")
    return 0


sys.exit(main())
