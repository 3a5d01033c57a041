"""What can go wrong while a repository is held against its declaration."""

from __future__ import annotations

from ec_closure.errors import BadInputError, LimitError, UsageError


class DeclarationError(UsageError):
    """The declaration of release authority is missing, or does not follow its format."""

    code = "authority.declaration"


class YamlError(BadInputError):
    """A workflow or an action is no YAML that a runner would take."""

    code = "authority.yaml"


class YamlLimitError(LimitError):
    """YAML that is larger, deeper or more repetitive than is accepted."""

    code = "authority.yaml-limit"


class HclError(BadInputError):
    """A file of OpenTofu cannot be read."""

    code = "authority.hcl"


class ExpressionError(BadInputError):
    """What stands between `${{` and `}}` is no expression."""

    code = "authority.expression"
