"""The table of attacks, `docs/attacks.md`: every attack of the registry, every tool, measured in one run.

What is measured and what is rendered are apart: `render` is pure, and says of one machine and one day nothing but the
version of Nix.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from ec_verify.demo.attacks import MODULES
from ec_verify.demo.errors import DemoError
from ec_verify.demo.lab import Lab
from ec_verify.demo.node import Result
from ec_verify.demo.peers import PEERS, Outcome
from ec_verify.demo.programs import Ran
from ec_verify.demo.story import AT_A_TIME, Told, carry_out
from ec_verify.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import ModuleType

    from ec_verify.demo.attacks.attack import Attack
    from ec_verify.progress import Progress

_COMMANDS = {
    "nix store verify": "nix store verify",
    "nix-store --verify": "nix-store --verify --check-contents",
    "nix-store --check": "nix-store --check",
    "nix build --rebuild": "nix build --rebuild",
}

_HEAD = """\
<!-- Written by `./dev attacks`; measured, not typed: change the attacks, not this file. -->
# Attacks

Every attack of the registry `ec_verify.demo.attacks`, and what each tool says about it. Measured in one run by
`./dev attacks` (`ec-verify demo --table FILE`) with Nix {nix}, as root, on a small appliance of {paths} store paths
that a build machine built, signed and published. Each tool gets a copy of the node of its own, attacked anew.

- `nix store verify --all --sigs-needed 1`, trusting the key of the cache that the node was installed from: stronger
  than its default.
- `nix-store --verify --check-contents`.
- `nix-store --realise --check` and `nix build --rebuild --offline`, for every derivation that made a path of the
  system, one by one, with all build inputs at hand.
- `ec-verify run` at the level that stands in the row.

**caught**: the tool failed, and named a path that was attacked. **missed**: it did not; also when it failed about
something else. **silent**: nothing was wrong, and nothing was said. **false alarm**: nothing was wrong, and the tool
failed. **n/a**: nothing happened in the store, so a tool that looks at stores has nothing to answer. The exit code
stands in brackets. Of `ec-verify` a row is right when verdict, exit code, findings and the paths that they name are
those that the registry demands; *undecided* is a right answer where nothing can be proven, and says why.

"""


@dataclass(frozen=True)
class Measured:
    """What one run showed: *told* in the registry's order."""

    nix: str
    paths: int
    told: tuple[Told, ...]

    @property
    def wrong(self) -> list[Told]:
        """What `ec-verify` answered wrongly."""
        return [one for one in self.told if one.complaints]


def measure(base: Path, attacks: Sequence[Attack], progress: Progress) -> Measured:
    """Carry out *attacks* below *base*, and ask every tool. Raises `DemoError` when there is no appliance to attack."""
    with Lab(base) as lab:
        with progress.stage("the appliance, and two more releases"):
            lab.build()
            _ = lab.second, lab.lying
        with progress.stage(f"{len(attacks)} attacks") as stage, ThreadPoolExecutor(AT_A_TIME) as pool:
            stage.total(len(attacks))
            told = []
            try:
                for one in pool.map(lambda attack: _attempt(lab, attack), attacks):
                    told.append(one)
                    stage.note(one.attack.name)
                    stage.advance()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        manifest = lab.release.manifest
        return Measured(manifest.builder.nix, len(manifest.paths), tuple(told))


def _attempt(lab: Lab, attack: Attack) -> Told:
    """Carry out *attack*. One that cannot be is answered wrongly, and ends no measurement of minutes."""
    try:
        return carry_out(lab, attack, PEERS)
    except DemoError as error:
        result = Result(Ran(("ec-verify",), 3, "", "", 0.0), {"verdict": "undecided", "findings": []})
        nothing = tuple(Outcome(peer.name, "n/a", None, "not asked") for peer in PEERS)
        return Told(attack, nothing, result, (f"cannot be carried out: {one_line(str(error))}",), ())


def render(measured: Measured) -> str:
    """Return the document."""
    head = _HEAD.format(nix=measured.nix, paths=measured.paths)
    return head + _totals(measured.told) + "".join(_sections(measured.told))


def _totals(told: Sequence[Told]) -> str:
    harming = [one for one in told if one.attack.harms]
    quiet = [one for one in told if not one.attack.harms]
    lines = ["| | attacks that must be noticed | changes that must not be |\n| --- | --- | --- |\n"]
    for position, command in enumerate(_COMMANDS.values()):
        words = Counter(peer_cell(one, one.outcomes[position]).partition(" (")[0] for one in harming)
        alarms = Counter(peer_cell(one, one.outcomes[position]).partition(" (")[0] for one in quiet)
        lines.append(
            f"| `{command}` | caught {words['caught']}, missed {words['missed']}, n/a {words['n/a']} "
            f"| silent {alarms['silent']}, false alarm {alarms['false alarm']}, n/a {alarms['n/a']} |\n"
        )
    right = [sum(not one.complaints for one in group) for group in (harming, quiet)]
    lines.append(f"| `ec-verify` | right {right[0]} of {len(harming)} | right {right[1]} of {len(quiet)} |\n")
    return "".join(lines)


def _sections(told: Sequence[Told]) -> list[str]:
    module_of = {attack.name: module for module in MODULES for attack in module.ATTACKS}
    sections = []
    for module, rows in groupby(told, lambda one: module_of[one.attack.name]):
        columns = ["attack", "what happened", *(f"`{command}`" for command in _COMMANDS.values()), "`ec-verify`"]
        lines = [f"| {' | '.join(columns)} |\n", f"| {' | '.join('---' for _ in columns)} |\n"]
        lines += [_row(one) for one in rows]
        sections.append(f"\n## {_title(module)}\n\n{''.join(lines)}")
    return sections


def _title(module: ModuleType) -> str:
    return (module.__doc__ or module.__name__).partition("\n")[0].rstrip(".")


def _row(told: Told) -> str:
    attack = told.attack
    cells = [f"`{attack.name}`", attack.story, *(peer_cell(told, outcome) for outcome in told.outcomes), own_cell(told)]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def peer_cell(told: Told, outcome: Outcome) -> str:
    """Return the answer of one of Nix's tools in a word, with its exit code."""
    if outcome.exit is None:
        return "n/a"
    if told.attack.harms:
        return f"{outcome.verdict} ({outcome.exit})"
    return f"false alarm ({outcome.exit})" if outcome.exit else "silent (0)"


def own_cell(told: Told) -> str:
    """Return the answer of `ec-verify`: a word, the exit code, the findings that were asked for, the level."""
    attack, result = told.attack, told.result
    if told.complaints:
        return f"**wrong** ({result.exit}): {'; '.join(told.complaints)}"
    word = {"failed": "**caught**", "undecided": "**undecided**", "passed": "noted" if attack.expects else "silent"}
    codes = "".join(f" {code}" for code in sorted(attack.expects))
    return f"{word[attack.verdict]} ({result.exit}){codes}, {attack.level}"
