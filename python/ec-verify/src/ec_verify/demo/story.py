"""The demonstration as it is told: the numbered steps of `ec-verify demo`.

1. A build machine takes some paths of a small appliance from a cache, and builds the rest.
2. It describes what it built, signs and publishes that.
3. A node fetches the system from a cache and runs it.
4. The untouched node is verified at the highest level: hashed, evaluated, rebuilt.
5. Attacks, each on a copy of the node, with what Nix's own tools say and what `ec-verify` says.
6. The recap.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_verify.demo import peers
from ec_verify.demo.attacks import BY_NAME
from ec_verify.demo.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ec_verify.demo.attacks.attack import Attack
    from ec_verify.demo.node import Result
    from ec_verify.demo.peers import Outcome, Peer
    from ec_verify.demo.screen import Screen

TOLD = (
    "flipped-byte",
    "edited-row",
    "content-addressed",
    "fixed-output",
    "second-output",
    "set-user-id",
    "capability",
    "unknown-entry",
    "forged-row",
    "dropped-reference",
    "bind-mount",
    "profile",
    "altered-flake",
    "altered-input",
    "poisoned-evaluation",
    "two-outputs-differ",
    "lying-build-machine",
    "daemon-in-reach",
    "wrong-key",
    "rolled-back",
    "another-manifest",
)
AT_A_TIME = 2


@dataclass(frozen=True)
class Clean:
    """What everybody said about the untouched node."""

    result: Result
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True)
class Told:
    """One attack, what everybody said about it, and in what `ec-verify` fell short (nothing, one hopes)."""

    attack: Attack
    outcomes: tuple[Outcome, ...]
    result: Result
    complaints: tuple[str, ...]
    attacked: tuple[str, ...]


def tell(base: Path, screen: Screen, attacks: tuple[str, ...] = TOLD, *, root: bool) -> bool:
    """Carry out all steps below *base*. Returns whether everything was as it must be. Raises `DemoError`.

    Without *root*, attacks that need it are left out.
    """
    chosen = [BY_NAME[name] for name in attacks]
    left_out = [attack.title for attack in chosen if attack.needs_root and not root]
    chosen = [attack for attack in chosen if root or not attack.needs_root]
    with Lab(base, screen.command) as lab:
        screen.step("A build machine builds a small appliance", "Thirty derivations, written by a shell alone.")
        lab.build_system()
        screen.step(
            "It describes what it built, signs and publishes", "One record for each path; TUF metadata over all."
        )
        lab.publish()
        screen.step("A node fetches the system and runs it", "From a binary cache, signatures checked.")
        lab.serve()
        lab.install()
        screen.step("The untouched node, verified at the highest level", "Hash the disk, evaluate the source, rebuild.")
        result = lab.verify(lab.clone_node("untouched"), "--level", "full")
        with screen.quietly("asking Nix's own tools"):
            clean = Clean(result, tuple(peer.ask(lab, BY_NAME["untouched"]) for peer in peers.TOLD))
        screen.untouched(clean)
        whole = (result.verdict, result.exit, result.report["levelReached"]) == ("passed", 0, "full")
        with screen.quietly("two more releases, for attacks that need them"):
            _ = lab.second, lab.lying
        screen.step(
            "Attacks", "Each tool has a copy of its own. Caught: it fails (exit code) and names what was attacked."
        )
        told = []
        with screen.quietly("attacking"), ThreadPoolExecutor(AT_A_TIME) as pool:
            try:
                for number, one in enumerate(
                    pool.map(lambda attack: carry_out(lab, attack, peers.TOLD), chosen), start=1
                ):
                    screen.attack(number, len(chosen), one)
                    told.append(one)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        screen.step("Who noticed what", "")
        screen.recap(clean, told, left_out)
        return whole and not any(one.complaints for one in told)


def carry_out(lab: Lab, attack: Attack, asked: Sequence[Peer]) -> Told:
    """Carry out *attack* on copies of the node, one for each tool, and return what all of them said."""
    outcomes = tuple(peer.ask(lab, attack) for peer in asked)
    node = lab.clone_node(attack.name)
    with node.cleanup:
        attack.apply(node)
        result = lab.verify(node, "--level", attack.level)
        return Told(attack, outcomes, result, tuple(attack.complaints(node, result)), tuple(node.attacked))
