"""What can go wrong with boot images, by whose fault. Roots in `ec_closure.errors`.

ConfigError     netboot.toml or a file that it names                       exit 2
ArchiveError    the archive of an image holds what it must not             exit 2
ScriptError     the image's own netboot.ipxe cannot be used                exit 2
ImageError      an image is not what was signed, or not what was asked     exit 3
RollbackError   an older release than the one that is served               exit 3
NotStagedError  nothing is staged that may be served                       exit 3
StateError      our own state directory is unusable                        exit 3
ServeError      an address, a privilege or a program is missing            exit 3
"""

from __future__ import annotations

from ec_closure.errors import BadInputError, LocalError, TrustError


class ConfigError(BadInputError):
    """The configuration is not valid."""

    code = "netboot.config"


class ArchiveError(BadInputError):
    """An archive that is no archive, or that holds something else than a boot image."""

    code = "netboot.archive"


class ScriptError(BadInputError):
    """The image's own boot script says something that cannot be rendered."""

    code = "netboot.script"


class ImageError(TrustError):
    """An image whose bytes are not those that were signed or asked for."""

    code = "netboot.image"


class RollbackError(TrustError):
    """A release that is older than the one that is served, and that nobody asked for."""

    code = "netboot.rollback"


class NotStagedError(LocalError):
    """Nothing is staged that may be served."""

    code = "netboot.empty"


class StateError(LocalError):
    """The state directory of the boot server cannot be used."""

    code = "netboot.state"


class ServeError(LocalError):
    """The machine does not let us serve."""

    code = "netboot.serve"
