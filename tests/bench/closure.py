"""Reading a closure from the database, beside `nix path-info -r --json`."""

from __future__ import annotations

from pathlib import Path

from tests.bench.harness import Way, compare, program
from tests.bench.store import Store

from ec_closure.store_db import StoreDatabase

_GRAPH = """
derivation {
  name = "top"; system = builtins.currentSystem; builder = "/bin/sh"; passAsFile = [ "all" ];
  args = [ "-c" "read -r line < $allPath; echo $line > $out" ];
  all = toString (builtins.genList (number: builtins.toFile "f${toString number}" "${toString number}") COUNT);
}
"""
_COUNT = 3000


def case(directory: Path, rounds: int) -> str:
    """Return the figures."""
    store = Store(directory / "nix", limit=0)
    top = store.run("nix-build", "--no-out-link", "-E", _GRAPH.replace("COUNT", str(_COUNT))).strip()

    def read() -> None:
        with StoreDatabase.open(Path(store.state_dir), store_dir=store.store_dir) as database:
            found = len(database.closure(top))
        if found != _COUNT + 1:
            raise RuntimeError(f"a closure of {found} paths")

    return compare(
        f"Closure of {_COUNT + 1} paths",
        [
            Way("ec_closure.store_db", read),
            Way("nix path-info -r --json", program("nix", "path-info", "-r", "--json", top, env=store.env)),
        ],
        rounds=rounds,
    )
