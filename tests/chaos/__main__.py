"""`./dev chaos [--kills N] [--seed N]`: runs are killed at random moments on real Nix; figures on standard output."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from random import Random

from tests.chaos.kill import KINDS, Victim

from ec_verify.demo.lab import Lab


def main() -> int:
    """Build a world, kill, look, and tell."""
    parser = argparse.ArgumentParser(prog="./dev chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how many runs to strike [200]")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("root is needed: file systems are mounted")
    random = Random(options.seed)  # noqa: S311 - to be repeated
    with (
        tempfile.TemporaryDirectory(prefix="ec-chaos-", ignore_cleanup_errors=True) as directory,
        Lab(Path(directory)) as lab,
    ):
        victim = Victim(lab, lab.build().clone_node("victim"))
        with victim.prepared():
            victim.whole_run()
            for number in range(options.kills):
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
