"""How long a person waits for `--help`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.harness import Way, compare, program

if TYPE_CHECKING:
    from pathlib import Path


def case(_directory: Path, rounds: int) -> str:
    """Return the figures."""
    return compare(
        "Start",
        [
            Way("ec-verify --help", program("ec-verify", "--help")),
            Way("ec-release --help", program("ec-release", "--help")),
            Way("nix --version", program("nix", "--version")),
        ],
        rounds=rounds,
    )
