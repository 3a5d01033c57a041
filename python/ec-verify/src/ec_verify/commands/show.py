"""Printing the result of a run: for people, or as JSON (docs/schemas/run-output.v1.schema.json)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from ec_verify.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ec_closure.report import Cause, RunOutput

_WORDS = {
    "rebuilt": "on disk, signed and rebuilt here: all the same bytes",
    "fixed": "the bytes are those that the path's own name promises",
    "matches": "on disk as signed; not rebuilt",
    "unchanged": "as at the last run; not read again",
    "corrupt": "not what CI signed",
    "missing": "not on the disk",
    "unreproducible": "comes out otherwise when rebuilt",
    "inherited": "reproduces once its unreproducible inputs are taken as signed",
    "unbuildable": "could not be rebuilt",
    "unchecked": "could not be read",
}
_COLOURS = {"passed": "bold green", "failed": "bold red", "undecided": "bold yellow"}
_WEIGHTS = {"fail": "red", "warn": "yellow", "info": "dim"}
_SHOWN = 40
_NAMED = 4
_REBUILD = frozenset({"EV501", "EV504"})


def show(output: RunOutput, *, as_json: bool, all_findings: bool = False) -> None:
    """Print *output* to standard output: causes, or with *all_findings* every finding, too."""
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(output), indent=2).decode() + "\n")
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, highlight=False, emoji=False, soft_wrap=True)
    with console.capture() as captured:
        _draw(output, console, Table(box=None, show_header=False, padding=(0, 1)), all_findings=all_findings)
    # Written here: at a closed pipe rich ends the program itself, with the exit code of a failing finding.
    sys.stdout.write(captured.get())


def _draw(output: RunOutput, console: Console, table: Table, *, all_findings: bool) -> None:
    level = f"level {output.level_reached}" if output.level_reached else "no level"
    asked = "" if output.level_reached == output.level_asked else f" (asked: {output.level_asked})"
    console.print(f"[{_COLOURS[output.verdict]}]{output.verdict.upper()}[/]  {level} reached{asked}")
    console.print(f"  system   {_shown(output.toplevel)}")
    if output.manifest is not None:
        console.print(f"  release  {_shown(output.manifest.tag)} (version {output.manifest.version})")
    else:
        console.print("  release  none: no trusted manifest")
    table.add_column(justify="right")
    for verdict, count in output.counts.items():
        table.add_row(str(count), _shown(verdict), f"[dim]{_WORDS.get(verdict, '')}[/]")
    console.print(table)
    if output.causes:
        for cause in output.causes:
            _draw_cause(cause, console)
    if all_findings or not output.causes:
        _draw_findings(output, console, limit=None if all_findings else _SHOWN)
    elif len(output.findings) > len(output.causes):
        hidden = len(output.findings) + sum(rest.count for rest in output.left_out)
        console.print(f"{_number(len(output.causes), 'cause')} for {hidden} findings: --all lists them")
    console.print("covered:")
    for step in output.coverage:
        amount = f"{step.done} of {step.total}" if step.total else ""
        console.print(f"  {_shown(step.step):14} {step.status:9} {amount}")
        for reason, count in list(step.reasons.items())[:_SHOWN]:
            console.print(f"      [dim]{count}x {_shown(reason)}[/]")


def _draw_cause(cause: Cause, console: Console) -> None:
    """Draw one cause: what it is, how far it reaches, what follows from it, and what to do."""
    named = cause.message if cause.count == 1 else f"{cause.count} x {cause.title}"
    console.print(f"[{_WEIGHTS[cause.severity]}]{cause.code} {cause.severity}[/]  {_shown(named)}")
    if cause.count > 1:
        console.print(f"      [dim]{_shown(cause.message)}, and {cause.count - 1} more[/]")
        for path in cause.paths[1:_NAMED]:
            console.print(f"      [dim]  {_shown(path)}[/]")
    if cause.affected:
        verb = ("inherits", "inherit") if cause.code in _REBUILD else ("depends on", "depend on")
        number = _number(cause.affected, "other path")
        console.print(f"      [dim]{number} of the system {verb[cause.affected > 1]} it[/]")
    if cause.follows:
        follows = ", ".join(f"{count} x {code}" for code, count in cause.follows.items())
        console.print(f"      [dim]from this follows {_shown(follows)}[/]")
    if cause.severity != "info":
        console.print(f"      [dim]{_shown(cause.hint)}[/]")


def _draw_findings(output: RunOutput, console: Console, *, limit: int | None) -> None:
    console.print("findings:" if output.causes else "", end="\n" if output.causes else "")
    for finding in output.findings[:limit]:
        colour = _WEIGHTS[finding.severity]
        console.print(f"[{colour}]{finding.code} {finding.severity}[/]  {_shown(finding.message)}")
        if finding.severity != "info" and not output.causes:
            console.print(f"      [dim]{_shown(finding.hint)}[/]")
    if limit is not None and len(output.findings) > limit:
        console.print(f"… and {len(output.findings) - limit} more findings: --all lists them")
    for rest in output.left_out:
        console.print(f"… and {rest.count} more {rest.code} {rest.severity}: more than a report lists")


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _shown(text: str) -> str:
    from rich.markup import escape

    return escape(printable(text))
