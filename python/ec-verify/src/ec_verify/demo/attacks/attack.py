"""What an attack is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from ec_closure.policy import Level
    from ec_verify.demo.node import Node, Result

Verdict = Literal["passed", "failed", "undecided"]
_EXIT: dict[Verdict, int] = {"passed": 0, "failed": 1, "undecided": 3}


def nothing_more(_node: Node, _result: Result) -> str | None:
    """Ask for nothing beyond verdict and findings."""
    return None


def says(code: str, *words: str) -> Callable[[Node, Result], str | None]:
    """Ask that the message of a finding *code* holds *words*: the reason must name the cause."""

    def holds(_node: Node, result: Result) -> str | None:
        messages = [finding["message"] for finding in result.report["findings"] if finding["code"] == code]
        if any(all(word in message for word in words) for message in messages):
            return None
        return f"no {code} speaks of {' and '.join(words)}: {messages}"

    return holds


@dataclass(frozen=True)
class Attack:
    """One way to deceive an operator, and what `ec-verify run --level LEVEL` must answer.

    *story* says in one line what the attacker did. *expects* are the findings that must be among those reported; when
    it is empty, none that weighs may be: the attack must have no effect. *holds* returns a complaint when something
    else that must be true is not. *on_store* tells whether Nix's own tools could notice, since it happened to store or
    database.
    """

    name: str
    title: str
    story: str
    apply: Callable[[Node], None]
    expects: frozenset[str]
    level: Level = "bytes"
    verdict: Verdict = "failed"
    on_store: bool = True
    needs_root: bool = False
    holds: Callable[[Node, Result], str | None] = nothing_more

    @property
    def harms(self) -> bool:
        """Whether something must be said; else nothing is wrong with the node, and whoever complains cries wolf."""
        return bool(self.expects) or self.verdict != "passed"

    @property
    def exit(self) -> int:
        """The exit code that the verdict becomes."""
        return _EXIT[self.verdict]

    def complaints(self, node: Node, result: Result) -> list[str]:
        """Return in what *result* differs from what must be answered; empty when it does not."""
        found = []
        if (result.verdict, result.exit) != (self.verdict, self.exit):
            found.append(f"{result.verdict} (exit code {result.exit}) where {self.verdict} ({self.exit}) is right")
        if missing := self.expects - result.codes:
            found.append(f"no finding {', '.join(sorted(missing))}")
        if not self.expects and result.weighty:
            found.append(f"findings where there is nothing to find: {', '.join(sorted(result.weighty))}")
        unnamed = [path for path in node.attacked if self.expects and not self.expects & result.codes_of(path)]
        found += [f"no finding names {path}" for path in unnamed]
        if complaint := self.holds(node, result):
            found.append(complaint)
        return found
