"""What can go wrong while a boot image is built, by whose fault."""

from __future__ import annotations

from ec_closure.errors import BadInputError, EcError, LocalError, UsageError


class TargetsError(BadInputError):
    """The file of targets is malformed, or contradicts itself."""

    code = "build.targets"


class SelectionError(UsageError):
    """What is wanted is no target, or is switched off."""

    code = "build.selection"


class TagError(UsageError):
    """The tag cannot be that of a release of this commit."""

    code = "build.tag"


class ResultError(BadInputError):
    """The build does not give the files that the target promises."""

    code = "build.result"


class NotFreshError(LocalError):
    """What must be built here is in the store already."""

    code = "build.not-fresh"


class IrreproducibleError(EcError):
    """Two builds of one derivation gave different bytes."""

    code = "build.irreproducible"
    exit_code = 1
