"""The root of every error that this project raises on purpose.

    EcError
    ├── BadInputError    bytes or text from outside do not follow their format      exit 2
    │   └── LimitError   … or are larger, deeper or more than is accepted           exit 2
    ├── UsageError       the caller asked for something that makes no sense         exit 2
    ├── LocalError       this machine: a file, a database, a mount, a program       exit 3
    ├── TrustError       signatures, versions or expiry do not hold                 exit 3
    └── TransportError   a server or the way to it                                  exit 3

Split by whose fault it is, because that decides what the reader does next. Each package derives
its own classes from these, and each program has one handler, in its ``main()``.
"""

from __future__ import annotations

from typing import ClassVar


class EcError(Exception):
    """Something went wrong that we can name.

    *message* is one line. *place* says where (a file, a path inside it, a byte offset). *hint* says
    what to do next. ``code`` is stable: scripts may match on it. ``exit_code`` is what a program
    that cannot go on returns.
    """

    code: ClassVar[str] = "ec"
    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, place: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.hint = hint

    def __str__(self) -> str:
        """Return the message with its place in front."""
        return f"{self.place}: {self.message}" if self.place else self.message

    def at(self, place: str) -> EcError:
        """Return the same error with *place* in front of the place it already names."""
        self.place = f"{place}: {self.place}" if self.place else place
        return self


class BadInputError(EcError):
    """Bytes or text from outside do not follow their format."""

    code = "bad-input"


class LimitError(BadInputError):
    """Input is larger, deeper or more numerous than is accepted."""

    code = "limit"


class UsageError(EcError):
    """The caller asked for something that makes no sense."""

    code = "usage"


class LocalError(EcError):
    """This machine does not provide what is needed."""

    code = "local"
    exit_code = 3


class TrustError(EcError):
    """Signatures, versions or expiry do not hold."""

    code = "trust"
    exit_code = 3


class TransportError(EcError):
    """A server, or the way to it, failed."""

    code = "transport"
    exit_code = 3
