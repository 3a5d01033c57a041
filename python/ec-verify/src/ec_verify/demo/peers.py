"""What Nix's own tools say about the same attacks, each on a clone of its own, because they write to what they check.

`nix store verify` is asked with the cache's key and one signature needed, which is stronger than its default (what this
machine built is trusted) and than `--no-trust`. `nix build --rebuild` is asked to rebuild every derivation that made a
path of the system, one by one: asked for all at once, it names the first that differs and keeps the others to itself.
So is `nix-store --check`, which is the same comparison by its older name.
An attack counts as caught when the tool fails *and names* an attacked path: a tool that always complains about
something else does not get the credit.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ec_verify.demo.errors import DemoError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ec_verify.demo.attacks.attack import Attack
    from ec_verify.demo.lab import Lab
    from ec_verify.demo.node import Node
    from ec_verify.demo.programs import Ran

_WHOLE_DERIVATION = (2, 15)
_PROGRESS = re.compile(r"^(checking |building |reading |copying |\S+> )|\.\.\.$")
_MAX_LINE = 300


@dataclass(frozen=True)
class Outcome:
    """What one peer said about one attack: *line* is its complaint, or in our words what it did not say."""

    peer: str
    verdict: Literal["caught", "missed", "n/a"]
    exit: int | None
    line: str


@dataclass(frozen=True)
class Peer:
    """A tool, and the commands it is asked with."""

    name: str
    commands: Callable[[Node], list[list[str]]]
    needs_build_inputs: bool = False

    def ask(self, lab: Lab, attack: Attack) -> Outcome:
        """Apply *attack* to a fresh clone and ask."""
        if not attack.on_store:
            return Outcome(self.name, "n/a", None, "nothing happens in the store")
        name = f"{attack.name}-{self.name.replace(' ', '-')}"
        node = lab.clone_node(name)
        with node.cleanup, contextlib.ExitStack() as again:
            attack.apply(node)
            if self.needs_build_inputs:
                try:
                    node.add_build_inputs()
                except DemoError:
                    # Nix takes nothing more into a store that was damaged so much: the other way round, then.
                    node = lab.clone_node(f"{name}-again")
                    again.enter_context(node.cleanup)
                    node.add_build_inputs()
                    attack.apply(node)
            answers = [
                lab.programs.attempt([*node.wrapper, *command], extra=node.environment)
                for command in self.commands(node)
            ]
            return judge(self.name, node, answers)


def judge(name: str, node: Node, answers: Sequence[Ran]) -> Outcome:
    """Return whether *answers* show that the tool noticed the attack on *node*."""
    complaints = [
        line
        for ran in answers
        if ran.exit != 0
        for text in ran.said.splitlines()
        if (line := text.strip().removeprefix("error: ")) and not _PROGRESS.search(line)
    ]
    failed = max(ran.exit for ran in answers)
    named = [line for line in complaints if any(path in line for path in node.attacked)]
    if named:
        seen = sum(any(path in line for line in named) for path in node.attacked)
        only = f" (names {seen} of {len(node.attacked)} paths)" if seen < len(node.attacked) else ""
        return Outcome(name, "caught", failed, named[0][:_MAX_LINE] + only)
    if complaints:
        return Outcome(name, "missed", failed, f"speaks of something else: {complaints[0]}"[:_MAX_LINE])
    return Outcome(name, "missed", failed, "has nothing to say")


def store_verify(node: Node) -> list[list[str]]:
    """Return the command that compares disk and database, and asks for a signature on every path."""
    trusted = node.lab.ci.cache_key.public.render()
    return [
        [
            *("nix", "store", "verify", "--store", str(node.root), "--all", "--sigs-needed", "1"),
            *("--option", "trusted-public-keys", trusted),
        ]
    ]


def check_contents(node: Node) -> list[list[str]]:
    """Return the command that compares disk and database."""
    return [["nix-store", "--store", str(node.root), "--verify", "--check-contents"]]


def check(node: Node) -> list[list[str]]:
    """Return the commands that rebuild every derivation of the system and compare, by their older name."""
    return [
        ["nix-store", "--store", str(node.root), "--realise", "--check", derivation]
        for derivation in _derivations(node)
    ]


def rebuild(node: Node) -> list[list[str]]:
    """Return the commands that rebuild every derivation of the system and compare."""
    every_output = "^*" if _version(node.release.manifest.builder.nix) >= _WHOLE_DERIVATION else ""
    return [
        ["nix", "build", "--store", str(node.root), "--rebuild", "--no-link", "--offline", derivation + every_output]
        for derivation in _derivations(node)
    ]


def _derivations(node: Node) -> list[str]:
    return sorted({record.deriver for record in node.release.manifest.paths if record.deriver})


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2])


STORE_VERIFY = Peer("nix store verify", store_verify)
CHECK_CONTENTS = Peer("nix-store --verify", check_contents)
CHECK = Peer("nix-store --check", check, needs_build_inputs=True)
REBUILD = Peer("nix build --rebuild", rebuild, needs_build_inputs=True)

TOLD = (STORE_VERIFY, CHECK_CONTENTS, REBUILD)
"""Those that the demonstration asks."""

PEERS = (STORE_VERIFY, CHECK_CONTENTS, CHECK, REBUILD)
