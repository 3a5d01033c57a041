"""Printing the result of a run: for people, or as JSON (docs/schemas/run-output.v1.schema.json)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from ec_verify.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ec_closure.report import RunOutput

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


def show(output: RunOutput, *, as_json: bool) -> None:
    """Print *output* to standard output."""
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(output), indent=2).decode() + "\n")
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, highlight=False, emoji=False, soft_wrap=True)
    with console.capture() as captured:
        _draw(output, console, Table(box=None, show_header=False, padding=(0, 1)))
    # Written here: at a closed pipe rich ends the program itself, with the exit code of a failing finding.
    sys.stdout.write(captured.get())


def _draw(output: RunOutput, console: Console, table: Table) -> None:
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
    for finding in output.findings[:_SHOWN]:
        colour = _WEIGHTS[finding.severity]
        console.print(f"[{colour}]{finding.code} {finding.severity}[/]  {_shown(finding.message)}")
        if finding.severity != "info":
            console.print(f"      [dim]{_shown(finding.hint)}[/]")
    if len(output.findings) > _SHOWN:
        console.print(f"… and {len(output.findings) - _SHOWN} more findings: --json lists them")
    console.print("covered:")
    for step in output.coverage:
        amount = f"{step.done} of {step.total}" if step.total else ""
        console.print(f"  {_shown(step.step):14} {step.status:9} {amount}")
        for reason, count in list(step.reasons.items())[:_SHOWN]:
            console.print(f"      [dim]{count}x {_shown(reason)}[/]")


def _shown(text: str) -> str:
    from rich.markup import escape

    return escape(printable(text))
