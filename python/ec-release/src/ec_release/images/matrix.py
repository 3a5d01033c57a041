"""What CI builds: a flake's outputs as the rows of a matrix. Pure: judges what was evaluated and looked up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ec_closure.errors import LimitError
from ec_release import actions
from ec_release.images import names
from ec_release.images.errors import NamingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ec_release.images.outputs import Output

Status = Literal["build", "cached", "skipped", "error"]

MAX_ROWS = 256
"""What GitHub accepts as one matrix."""


@dataclass(frozen=True)
class Row:
    """One output and what becomes of it. *push*: it is an image that may be pushed once it is built."""

    output: Output
    status: Status
    push: bool = False
    error: str | None = None

    @property
    def is_work(self) -> bool:
        """Tell whether a job has something to do: build it, push it, or fail by it."""
        return self.status in ("build", "error") or (self.status == "cached" and self.push)


@dataclass(frozen=True)
class Matrix:
    """All outputs of one system."""

    system: str
    rows: tuple[Row, ...]

    def include(self) -> list[dict[str, str | bool]]:
        """Return the entries of `strategy.matrix.include`. Raises `LimitError`.

        What does not evaluate is among them: its job fails with the trace that Nix prints.
        """
        work = [self._entry(row) for row in self.rows if row.is_work]
        if len(work) > MAX_ROWS:
            raise LimitError(
                f"{len(work)} outputs to build, and a matrix has {MAX_ROWS} rows at most",
                hint="mark outputs with meta.ci.skip = true; or fill a binary cache first",
            )
        return work

    def images(self) -> list[str]:
        """Return the outputs that are images to be pushed."""
        return [row.output.name for row in self.rows if row.push]

    def summary(self) -> str:
        """Return the table for people, as Markdown."""
        return actions.table(
            f"Outputs for {self.system}",
            ("Category", "Name", "", "Store path", "Status"),
            [
                (
                    row.output.category,
                    row.output.name,
                    _label(row),
                    " ".join(row.output.paths),
                    row.status if row.error is None else f"{row.status}: {row.error}",
                )
                for row in self.rows
            ],
        )

    def _entry(self, row: Row) -> dict[str, str | bool]:
        output = row.output
        try:
            name = names.attribute(output.name)
        except NamingError:
            # Nix could read it as the name of another output. The job is to fail, and says why.
            name = '"a name that cannot be given to Nix"'
        return {
            "category": output.category,
            "system": self.system,
            "name": output.name,
            "flake_attr": f"{output.category}.{self.system}.{name}",
            "is_image": output.copies,
            "push": row.push,
            "status": row.status,
        }


def plan(system: str, outputs: Sequence[Output], cached: Sequence[bool]) -> Matrix:
    """Decide about each of *outputs*; *cached* says of each whether a store has all of it."""
    return Matrix(system, tuple(_row(one, held) for one, held in zip(outputs, cached, strict=True)))


def _row(output: Output, cached: bool) -> Row:  # noqa: FBT001 - a column of a table
    if output.error is not None:
        return Row(output, "error", error=output.error)
    if output.skip:
        return Row(output, "skipped")
    # An image whose name no registry takes is not left out: its job fails when it is to be handed on.
    return Row(output, "cached" if cached else "build", push=output.copies and not output.withheld)


def _label(row: Row) -> str:
    if not row.output.copies:
        return ""
    return "image" if row.push or row.status == "skipped" else "image, not pushed"
