"""How one check of an audit comes to its result: by a detail, by problems, or by an error of ours. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ec_closure.audit import MAX_PROBLEMS, AuditCheck
from ec_closure.decoding import excerpt
from ec_closure.errors import EcError, LocalError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ec_closure.audit import Result

_MAX_LINE = 900


class NotDone(EcError):  # noqa: N818 - no error: what the check comes to
    """What is to be looked at cannot be."""

    code = "audit.not-done"


@dataclass
class Seen:
    """What a check saw: *problems* are what does not hold, *detail* what was looked at."""

    detail: str = ""
    problems: list[str] = field(default_factory=list)

    def hold(self, work: Callable[[], object]) -> None:
        """Do a part of the check; what is wrong there is one problem. What could not be looked at ends the check."""
        try:
            work()
        except (TransportError, LocalError, NotDone):
            raise
        except EcError as error:
            self.problems.append(str(error))


@dataclass
class Checks:
    """The checks so far; those named in *skip* are not done."""

    skip: Collection[str]
    done: list[AuditCheck] = field(default_factory=list)

    def look(self, name: str, work: Callable[[], Seen]) -> bool:
        """Do the check *name*; return whether it passed."""
        if name in self.skip:
            self.add(name, "skipped", "not asked for")
            return False
        try:
            seen = work()
        except (TransportError, LocalError, NotDone) as error:
            self.add(name, "not-done", str(error))
            return False
        except EcError as error:
            # The signature, the version or the form: something is there, and it is not what it has to be.
            seen = Seen("", [str(error)])
        self.add(name, "fail" if seen.problems else "pass", seen.detail, seen.problems)
        return not seen.problems

    def add(self, name: str, result: Result, detail: str, problems: list[str] | None = None) -> None:
        """Write a result down: one line each, of a length that is read."""
        listed = problems or []
        shown = [excerpt(one, _MAX_LINE) for one in listed[:MAX_PROBLEMS]]
        if len(listed) > MAX_PROBLEMS:
            shown[-1] = f"and {len(listed) - MAX_PROBLEMS + 1} more"
        detail = excerpt(detail or f"{len(listed)} do not hold", _MAX_LINE)
        self.done.append(AuditCheck(name=name, result=result, detail=detail, problems=tuple(shown)))
