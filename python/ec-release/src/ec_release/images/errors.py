"""What can go wrong between a flake's outputs and a registry, by whose fault."""

from __future__ import annotations

from ec_closure.errors import BadInputError, LocalError, TransportError, TrustError


class NamingError(BadInputError):
    """A name that an attribute, an image, a namespace or a tag cannot have."""

    code = "images.name"


class OutputError(BadInputError):
    """The flake, or one of its outputs, does not evaluate."""

    code = "images.output"


class DescriptorError(BadInputError):
    """A descriptor is not what `ec-release descriptor` writes."""

    code = "images.descriptor"


class EventError(BadInputError):
    """What the runner tells about the event cannot be."""

    code = "images.event"


class CopyToError(LocalError):
    """What copies the image could not be built."""

    code = "images.copy-to"


class DeniedError(TrustError):
    """The registry does not let these credentials do it: trying again changes nothing."""

    code = "images.denied"


class RefusedError(TransportError):
    """The registry refuses what was sent: trying again changes nothing."""

    code = "images.refused"


class RegistryError(TransportError):
    """The registry, or the way to it, failed: worth another try."""

    code = "images.registry"


class DigestError(TrustError):
    """The registry holds something else than what was pushed."""

    code = "images.digest"


class PushError(TransportError):
    """Not every image was pushed."""

    code = "images.push"
