"""What can go wrong in the demonstration itself."""

from __future__ import annotations

from ec_closure.errors import LocalError


class DemoError(LocalError):
    """The demonstration cannot go on: a program is missing, or failed where it must not."""

    code = "demo"
