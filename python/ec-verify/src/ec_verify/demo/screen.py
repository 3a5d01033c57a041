"""How the demonstration looks: colours where a person watches, plain lines elsewhere."""

from __future__ import annotations

import re
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ec_verify.demo.node import Result
    from ec_verify.demo.peers import Outcome
    from ec_verify.demo.programs import Ran
    from ec_verify.demo.story import Clean, Told

_PLAIN_WIDTH = 120
_MAX_COMMAND = 200
_HIDDEN = ("cp",)
_ROOT = re.compile(r"LAB/nodes/[^/\s]+/root(?=/nix/store/)")
_HASH = re.compile(r"(?:/nix/store/)?[0-9a-df-np-sv-z]{32}-")
_COLOURS = {"caught": "green", "missed": "red", "n/a": "dim"}


class Screen:
    """Writes to standard output. *base* is shortened to LAB in everything that is shown."""

    def __init__(self, base: Path) -> None:
        terminal = sys.stdout.isatty()
        self._console = Console(file=sys.stdout, highlight=False, width=None if terminal else _PLAIN_WIDTH)
        self._base = str(base)
        self._number = 0
        self._started = time.monotonic()
        self._quiet = False

    def step(self, title: str, about: str) -> None:
        """Begin a step."""
        self._number += 1
        self._console.print()
        self._line(f"[bold]{self._number}. {escape(title)}[/]")
        if about:
            self._line(f"   [dim]{escape(about)}[/]")

    def command(self, ran: Ran) -> None:
        """Show a command that ran."""
        if self._quiet or ran.argv[0] in _HIDDEN:
            return
        shown = ran.shown.replace(self._base, "LAB")
        if len(shown) > _MAX_COMMAND:
            shown = shown[:_MAX_COMMAND] + " …"
        self._line(f"   [cyan]$ {escape(shown)}[/] [dim]({ran.seconds:.1f} s)[/]")

    @contextmanager
    def quietly(self, title: str) -> Iterator[None]:
        """Show no commands; on a terminal, something that moves."""
        self._quiet = True
        try:
            if self._console.is_terminal:
                with self._console.status(f"{title} …"):
                    yield
            else:
                yield
        finally:
            self._quiet = False

    def untouched(self, clean: Clean) -> None:
        """Show what everybody said about the untouched node."""
        result = clean.result
        counts = result.report["counts"]
        self._line(f"   {_verdict(result)} at level {result.report['levelReached']}, {sum(counts.values())} paths:")
        words = {
            "rebuilt": "on disk, signed, and built again here: all the same bytes",
            "fixed": "the path's own name fixes its bytes",
            "inherited": "contain what cannot be reproduced, and are otherwise the same",
            "unreproducible": "differs by nature; the register of policy.toml says why",
        }
        for verdict, meaning in words.items():
            if counts.get(verdict):
                self._line(f"     {counts[verdict]:3} {verdict:15} [dim]{meaning}[/]")
        for finding in result.report["findings"]:
            self._line(f"     [dim]{finding['severity']}: {escape(self._short(finding['message']))}[/]")
        for outcome in clean.outcomes:
            self._line(f"   {outcome.peer:20} exit code {outcome.exit}: [dim]{escape(self._short(outcome.line))}[/]")

    def attack(self, number: int, total: int, told: Told) -> None:
        """Show one attack and what everybody said."""
        attack = told.attack
        self._console.print()
        self._line(f"   [bold]{number}/{total} {escape(attack.title)}[/]: the attacker {escape(attack.story)}")
        for outcome in told.outcomes if attack.on_store else ():
            self._line(f"     {outcome.peer:20} {_outcome(outcome)} [dim]{escape(self._short(outcome.line))}[/]")
        name = f"ec-verify ({attack.level})"
        self._line(f"     {name:20} {_answer(told)} {escape(self._short(_first(told)))}")
        for complaint in told.complaints:
            self._line(f"     [bold red]WRONG: {escape(complaint)}[/]")

    def recap(self, clean: Clean, told: Sequence[Told], left_out: Sequence[str]) -> None:
        """Show who noticed what."""
        table = Table(box=None, padding=(0, 2, 0, 0))
        peers = [outcome.peer for outcome in told[0].outcomes] if told else []
        table.add_column("attack", overflow="fold")
        for tool in (*peers, "ec-verify"):
            # Narrow terminals must not lose a column: the tool's name on two lines, the titles folded.
            table.add_column("\n".join(tool.rsplit(" ", 1)), no_wrap=True, min_width=len("missed (0)"))
        for one in told:
            table.add_row(one.attack.title, *(_outcome(outcome) for outcome in one.outcomes), _answer(one))
        self._console.print(Padding(table, (0, 0, 1, 3)))
        for position, peer in enumerate(peers):
            asked = [one.outcomes[position].verdict for one in told if one.outcomes[position].verdict != "n/a"]
            alarm = "cries wolf" if clean.outcomes[position].exit else "is silent"
            self._line(f"   {peer:20} caught {asked.count('caught'):2} of {len(asked)}; {alarm} on the untouched node")
        right = sum(not one.complaints for one in told)
        self._line(
            f"   {'ec-verify':20} right  {right:2} of {len(told)}; {_verdict(clean.result)} on the untouched node"
        )
        for title in left_out:
            self._line(f"   left out, since it needs root: {escape(title)}")
        self._line(f"   [dim]{time.monotonic() - self._started:.0f} s in total[/]")

    def kept(self, names: Sequence[str]) -> None:
        """Say how to look around."""
        self._console.print()
        self._line(f"   Kept in {escape(self._base)}: ci/ builds, site/ is served, nodes/ has one node for each attack")
        example = f"{self._base}/nodes/{names[0]}"
        self._line(f"   [cyan]$ ec-verify run --offline --config {escape(example)}/verify.toml[/]")
        self._line(f"   [cyan]$ nix store verify --all --no-trust --store {escape(example)}/root[/]")

    def _short(self, text: str) -> str:
        """Leave out what a reader skips anyway: where the lab lies, and hashes in store paths."""
        return _HASH.sub("…-", _ROOT.sub("", text.replace(self._base, "LAB")))

    def _line(self, markup: str) -> None:
        self._console.print(markup, soft_wrap=True)


def _first(told: Told) -> str:
    findings = told.result.report["findings"]
    expected = [finding for finding in findings if finding["code"] in told.attack.expects]
    named = [finding for finding in expected if any(path in str(finding) for path in told.attacked)]
    for finding in (*named, *expected):
        return f"{finding['code']} {finding['message']}"
    return "nothing to find, and nothing found: the attack has no effect"


def _verdict(result: Result) -> str:
    colour = {"passed": "green", "failed": "red", "undecided": "yellow"}[result.verdict]
    return f"[bold {colour}]{result.verdict.upper()}[/] (exit code {result.exit})"


def _outcome(outcome: Outcome) -> str:
    code = "" if outcome.exit is None else f" ({outcome.exit})"
    return f"[{_COLOURS[outcome.verdict]}]{outcome.verdict + code}[/]"


def _answer(told: Told) -> str:
    if told.complaints:
        return "[bold red]WRONG[/]"
    word = "no effect" if not told.attack.expects else "caught"
    return f"[green]{word} ({told.result.exit})[/]"
