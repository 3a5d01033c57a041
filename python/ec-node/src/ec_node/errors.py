"""What can go wrong while publishing, by whose fault. Roots in `ec_closure.errors`.

ConfigError      ec-node.toml, the broadcast or an option                       exit 2
UnsupportedError the input holds nothing that can be published                  exit 2
InputError       the input does not answer, or stopped                          exit 3
ProgramError     ffmpeg is missing, or does not do what it must                 exit 3
OriginError      the address of the origin is taken, or may not be used         exit 3
PushError        an origin elsewhere does not take what is sent                 exit 3
ArchiveError     the archive's directory or index is unusable                   exit 3
MediaError       bytes are not the fragmented MP4 or the playlist they should be  exit 2
"""

from __future__ import annotations

from ec_closure.errors import BadInputError, LocalError, TransportError


class ConfigError(BadInputError):
    """The configuration is not valid."""

    code = "node.config"


class MediaError(BadInputError):
    """Bytes are no fragmented MP4, or text is no playlist, that can be used here."""

    code = "node.media"


class UnsupportedError(BadInputError):
    """The input holds nothing that can be published as asked."""

    code = "node.unsupported"


class InputError(TransportError):
    """The input does not answer, or stopped."""

    code = "node.input"


class ProgramError(LocalError):
    """The program that encodes is missing, or does not do what it must."""

    code = "node.program"


class OriginError(LocalError):
    """The built-in origin cannot listen."""

    code = "node.origin"


class PushError(TransportError):
    """Another origin did not take what it was sent."""

    code = "node.push"


class ArchiveError(LocalError):
    """The archive cannot be used."""

    code = "node.archive"
