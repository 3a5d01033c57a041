"""What is put under fire: one reader of bytes from strangers, and how its input is made.

A reader may refuse, with an error of its own branch; it may accept, and then what it accepted must hold together.
Anything else is a defect: another exception, a message of several lines, an invariant that does not hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ec_closure.errors import EcError

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_LONGEST_MESSAGE = 10_000


class BrokenError(AssertionError):
    """A reader did what no reader may do."""


@dataclass(frozen=True)
class Target:
    """One reader.

    *read* takes the bytes, raises one of *errors* or checks by itself what must hold of what it read (`hold`). *make*
    returns a valid document, *twist* changes one as somebody would who knows the format, *words* are pieces to insert.
    *suite* is how many inputs the ordinary test run spends.
    """

    name: str
    read: Callable[[bytes], object]
    make: Callable[[Random], bytes]
    twist: Callable[[Random, bytes], bytes]
    errors: tuple[type[EcError], ...]
    words: tuple[bytes, ...] = ()
    suite: int = 1500
    tried: dict[str, int] = field(default_factory=dict)

    def fire(self, data: bytes) -> bool:
        """Return whether *data* was accepted. Raises `BrokenError`, or whatever the reader should not have raised."""
        try:
            self.read(data)
        except self.errors as error:
            told = str(error)
            hold("\n" not in told and "\r" not in told, f"a message of several lines: {told[:200]!r}")
            hold(len(told) <= _LONGEST_MESSAGE, f"a message of {len(told)} characters")
            return False
        except EcError as error:
            raise BrokenError(f"an error of another branch: {type(error).__name__}: {error}") from error
        return True


def hold(condition: bool, what: str) -> None:  # noqa: FBT001 - it reads as an assertion
    """Raise `BrokenError` unless *condition* holds; assertions of Python can be switched off."""
    if not condition:
        raise BrokenError(what)
