"""What can go wrong while a system is described, by whose fault."""

from __future__ import annotations

from ec_closure.errors import BadInputError, LocalError, UsageError


class DirtyTreeError(UsageError):
    """The checkout differs from its commit, so that nobody else could build what it holds."""

    code = "closure.dirty"


class UnmergedError(UsageError):
    """The commit is not on the branch that releases are made of, or the checkout cannot tell."""

    code = "closure.unmerged"


class SourceError(BadInputError):
    """The flake's source cannot be exported as nodes would have it."""

    code = "closure.source"


class LockError(BadInputError):
    """flake.lock is malformed, or names an input that nothing fixes."""

    code = "closure.lock"


class EvaluationError(BadInputError):
    """The flake does not evaluate to one system."""

    code = "closure.evaluation"


class NotBuiltError(LocalError):
    """The store does not hold what is to be described."""

    code = "closure.not-built"


class DamagedStoreError(LocalError):
    """The store's bytes are not what its own database says, or not what a path's name promises."""

    code = "closure.damaged"


class UnknownOriginError(LocalError):
    """Nothing says where a path of the closure comes from."""

    code = "closure.origin"
