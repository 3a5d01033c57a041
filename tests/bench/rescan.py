"""Scanning again what did not change, beside the first scan and beside Nix, which reads everything every time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.harness import Way, compare, program
from tests.bench.store import large

from ec_closure.policy import Policy
from ec_verify.config import Config, Settings
from ec_verify.config_tables import RescanTable, StoreTable
from ec_verify.judge import Case, judge
from ec_verify.memory import clock, keeper
from ec_verify.model import TrustOutcome
from ec_verify.observation import observe
from ec_verify.observe.running import Running
from ec_verify.state import State

if TYPE_CHECKING:
    from pathlib import Path

    from ec_verify.memory.contents import Memory
    from ec_verify.memory.keeper import Keeper


def case(directory: Path, rounds: int) -> str:
    """Return the figures. A re-scan includes reading and writing what is remembered, and one thirtieth of the bytes."""
    store = large(directory.parent)
    config = Config(
        state_dir=str(directory / "state"),
        store=StoreTable(dir=store.store_dir, state=store.state_dir),
        rescan=RescanTable(runs=30),
    )
    settings = Settings(config, "0" * 64, Policy(), "0" * 64)
    state = State(directory / "state")
    size = 0

    def run(*, read_all: bool) -> int:
        """Do steps 2, 3 and 6 of a run and remember; return how many paths were not read."""
        now = clock.now().wall // 10**9
        memory: Keeper | None = keeper.opened(settings, state, now=now)
        if memory is None:
            raise RuntimeError("nothing is remembered")
        seen = observe(store.location, Running(None, None, None), (), memory=memory, read_all=read_all)
        found = Case(
            level="bytes",
            policy=settings.policy,
            time=now,
            store_dir=store.store_dir,
            trust=TrustOutcome(),
            observation=seen,
            recall=memory.account(seen.paths),
        )
        judgement = judge(found)
        wrong = {finding.code for finding in judgement.findings} - {"EV301", "EV208"}
        if wrong or seen.problems:
            raise RuntimeError(f"not as Nix made it: {sorted(wrong)}")
        memory.keep(found)
        state.next_counter()
        nonlocal size
        size = sum(look.nar_size for look in seen.paths.values())
        return judgement.reading.unchanged

    def again() -> None:
        if not run(read_all=False):
            raise RuntimeError("everything was read")

    run(read_all=True)
    paths = len(memory.reads) if (memory := _memory(settings, state)) else 0
    return compare(
        f"Scanning {paths} paths, {size >> 20} MiB again, nothing changed",
        [
            Way("first scan: everything is read", lambda: run(read_all=True)),
            Way(
                "nix store verify --all --no-trust",
                program("nix", "store", "verify", "--all", "--no-trust", env=store.env),
            ),
            Way("re-scan: unchanged, and a thirtieth read", again),
        ],
        rounds=rounds,
    )


def _memory(settings: Settings, state: State) -> Memory | None:
    opened = keeper.opened(settings, state, now=clock.now().wall // 10**9)
    return opened.memory if opened is not None else None
