"""Requests that are refused: each kind with its status and a stable code.

Nodes act on the status (docs/report-api.md): 400, 409, 413, 415 and 422 speak of the bytes that were sent, and are
final; 401, 403 and 404 speak of the node or the address; 408, 429 and 503 ask to try again.
"""

from __future__ import annotations

from typing import ClassVar

from ec_closure.errors import EcError


class RefusedError(EcError):
    """A request is answered with *status* and one line that says why."""

    code = "refused"
    status: ClassVar[int] = 400


class MalformedError(RefusedError):
    """What was sent does not follow its format."""

    code = "malformed"


class UnauthorizedError(RefusedError):
    """Nobody knows who asks."""

    code = "unauthorized"
    status = 401


class ForbiddenError(RefusedError):
    """Who asks may not do this."""

    code = "forbidden"
    status = 403


class ForgedError(ForbiddenError):
    """A form that this dashboard did not hand to this session."""

    code = "forbidden.form"


class PendingError(ForbiddenError):
    """A node that nobody has approved yet."""

    code = "node.pending"


class RetiredError(ForbiddenError):
    """A node that was retired."""

    code = "node.retired"


class UnknownNodeError(ForbiddenError):
    """An envelope that names no key that is known."""

    code = "node.unknown"


class NotFoundError(RefusedError):
    """There is no such thing."""

    code = "not-found"
    status = 404


class SlowError(RefusedError):
    """The body did not arrive in time."""

    code = "slow"
    status = 408


class ConflictError(RefusedError):
    """It is not in the state that this needs."""

    code = "conflict"
    status = 409


class ReplayedError(ConflictError):
    """Another report has these numbers already."""

    code = "report.replayed"


class TooLargeError(RefusedError):
    """More bytes than are accepted."""

    code = "too-large"
    status = 413


class WrongTypeError(RefusedError):
    """Another media type than this address takes."""

    code = "media-type"
    status = 415


class SignatureError(RefusedError):
    """The signature does not hold."""

    code = "report.signature"
    status = 422


class NonceError(RefusedError):
    """A nonce that was never handed out, or was used before."""

    code = "report.nonce"
    status = 422


class TooManyError(RefusedError):
    """Too many requests of one node."""

    code = "too-many"
    status = 429


class BusyError(RefusedError):
    """The dashboard cannot take this now."""

    code = "busy"
    status = 503


class SignInError(RefusedError):
    """Who somebody is could not be established, or they may nothing here."""

    code = "sign-in"
    status = 403


class ForgeError(RefusedError):
    """A forge did not answer, or not as it must."""

    code = "forge"
    status = 502


class ProviderError(RefusedError):
    """The service that says who people are did not answer, or not as it must."""

    code = "sign-in.provider"
    status = 502
