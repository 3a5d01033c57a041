"""Errors of releasing, by whose fault they are."""

from __future__ import annotations

from ec_closure.errors import BadInputError, EcError, LocalError, TransportError, TrustError, UsageError


class KeyFileError(LocalError):
    """A file with a private key is missing, unreadable, or readable by others."""

    code = "key-file"


class MissingKeysError(LocalError):
    """Too few private keys at hand to sign what must be signed."""

    code = "keys.missing"


class RootKeyError(TrustError):
    """A key lies where it must not: one of the root in CI, or one that a job has no use for."""

    code = "keys.misplaced"


class DueError(EcError):
    """Signatures expire soon that only people can renew."""

    code = "trust.due"
    exit_code = 1


class PublishedMetadataError(TrustError):
    """What lies in the repository does not verify from the pinned root; nothing is signed on top of it."""

    code = "published"


class CeremonyError(TrustError):
    """A pending root does not follow from the current one, or lacks signatures."""

    code = "ceremony"


class BackendError(TransportError):
    """The place that releases are published to failed, or holds what it must not."""

    code = "backend"


class AccessError(BackendError):
    """The place is not there for us: the token, its rights, or the address (401, 403, 404)."""

    code = "backend.access"


class CapacityError(BackendError):
    """The place does not take that much: a limit of its settings, a quota, or its disk."""

    code = "backend.capacity"


class ConflictError(UsageError):
    """Something of that name was published before, with other bytes."""

    code = "conflict"


class AssetError(BadInputError):
    """A file to be published does not fit its release."""

    code = "asset"
