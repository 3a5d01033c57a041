"""What can be wrong with an image or a release of it, by whose fault."""

from __future__ import annotations

from ec_closure.errors import BadInputError, TransportError, TrustError, UsageError


class EventError(UsageError):
    """What happened does not publish images of this class."""

    code = "image.event"


class VersionError(BadInputError):
    """No version of a release, or versions that disagree."""

    code = "image.version"


class NotesError(BadInputError):
    """The changelog has nothing to say of a release, or says it twice."""

    code = "image.notes"


class BaseError(BadInputError):
    """The image does not stand on one pinned base."""

    code = "image.base"


class RegistryError(TransportError):
    """The registry failed, or holds what it must not."""

    code = "image.registry"


class MovedError(TrustError):
    """A tag that never moves names another image already."""

    code = "image.moved"
