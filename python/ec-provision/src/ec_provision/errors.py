"""What can go wrong while a node's data are applied, by whose fault. Roots in `ec_closure.errors`.

SourceFileError   a place holds something that is no file to be trusted       exit 2
CommandLineError  the kernel's command line names no usable address           exit 2
UnreadableError   a place has a node.toml that this machine cannot read       exit 3
FetchError        the server, or the way to it                                exit 3
PinError          the bytes are not those whose SHA-256 is pinned             exit 3
ApplyError        this machine does not let the data be applied               exit 3
"""

from __future__ import annotations

from ec_closure.errors import BadInputError, LocalError, TransportError, TrustError


class SourceFileError(BadInputError):
    """What lies where node.toml is expected is not a file that may be believed."""

    code = "provision.file"


class CommandLineError(BadInputError):
    """The kernel's command line says where node.toml is, but not well."""

    code = "provision.command-line"


class UnreadableError(LocalError):
    """There is a node.toml, and reading it failed."""

    code = "provision.unreadable"


class FetchError(TransportError):
    """The address of the kernel's command line did not answer with node.toml."""

    code = "provision.fetch"


class PinError(TrustError):
    """What was fetched is not what the kernel's command line pins."""

    code = "provision.pin"


class ApplyError(LocalError):
    """The data are good, and this machine does not take them."""

    code = "provision.apply"
