"""Reading a closure from the database, beside `nix path-info -r --json`."""

from __future__ import annotations

import hashlib
import random
import subprocess
from pathlib import Path

from tests.bench.harness import Way, compare, program
from tests.bench.store import Store

from ec_closure.nix32 import encode
from ec_closure.store_db import StoreDatabase

_COUNT = 10_000
_REFERENCES = 8
_MANY = 100


def case(directory: Path, rounds: int) -> str:
    """Return the figures."""
    store = Store(directory / "nix")
    top = register(store, _COUNT)

    def read() -> None:
        with StoreDatabase.open(Path(store.state_dir), store_dir=store.store_dir) as database:
            found = len(database.closure(top))
        if found != _COUNT:
            raise RuntimeError(f"a closure of {found} paths")

    return compare(
        f"Closure of {_COUNT} paths with {_REFERENCES} references each",
        [
            Way("ec_closure.store_db", read),
            Way("nix path-info -r --json", program("nix", "path-info", "-r", "--json", top, env=store.env)),
        ],
        rounds=rounds,
    )


def register(store: Store, count: int) -> str:
    """Register *count* paths and return the one whose closure they are; nothing of them is on the disk.

    As in a system, some are referred to by many, nearly all by few, and the last one by none.
    """
    chance = random.Random(count)  # noqa: S311 - the same graph each time
    paths: list[str] = []
    lines: list[str] = []
    unused: set[str] = set()
    for number in range(count):
        digest = hashlib.sha256(str(number).encode()).digest()
        own = f"{store.store_dir}/{encode(digest[:20])}-package-{number}"
        popular = chance.choices(paths[:_MANY], k=_REFERENCES // 2) if paths else []
        others = chance.choices(paths, k=_REFERENCES // 2 - 1) if paths else []
        references = {*popular, *others, own, *(unused if number == count - 1 else ())}
        paths.append(own)
        unused -= references
        unused.add(own)
        lines += [own, digest.hex(), str(1000 + number), "", str(len(references)), *sorted(references)]
    text = "".join(f"{line}\n" for line in lines)
    subprocess.run(["nix-store", "--load-db"], input=text, env=store.env, check=True, text=True)
    return paths[-1]
