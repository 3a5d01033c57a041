"""Errors of fetching, by whose fault they are.

    TransportError
    ├── FetchError              the server, the network, or a file that cannot be read
    │   └── SlowError           too slow, or the deadline passed
    ├── RefusedError            the first request that must succeed was answered 401, 403 or 404
    └── OfflineError            wanted bytes are not in the cache, and the client works offline
    TrustError
    ├── MetadataError           metadata that the pinned root does not vouch for, or that contradict themselves
    │   ├── ExpiredMetadataError
    │   ├── RolledBackError     older than what was seen before
    │   ├── UnsignedMetadataError   fewer valid signatures than the threshold
    │   ├── MixedMetadataError  timestamp, snapshot and targets do not belong together
    │   └── TargetMismatchError a target's length or hash is not the signed one
    └── NoTargetError           nothing signed describes what was asked for
    LocalError
    ├── TokenError              the token file
    └── StateError              the state directory
        ├── DamagedStateError   a file in it was damaged, removed or belongs to another root
        ├── StateBusyError      another process refreshes
        ├── NoMetadataError     no metadata were ever verified here
        └── MirrorError         what another process fetched cannot be used
            └── StaleMirrorError    it is older than what was verified here

Nothing of the TUF library leaks out of this package: `ec_fetch.translate` maps its exceptions.
"""

from __future__ import annotations

from ec_closure.errors import LocalError, TransportError, TrustError


class FetchError(TransportError):
    """A server, the way to it, or a file that should be there, failed."""

    code = "fetch"


class SlowError(FetchError):
    """Data came too slowly, or the deadline of the request passed (slow retrieval attack, or a bad line)."""

    code = "fetch.slow"


class RefusedError(TransportError):
    """The release server refuses us, or nothing was ever published there."""

    code = "fetch.refused"


class OfflineError(TransportError):
    """The client works offline and does not have these bytes."""

    code = "fetch.offline"


class MetadataError(TrustError):
    """Metadata that the pinned root does not vouch for, that are malformed, or that contradict themselves."""

    code = "metadata"


class ExpiredMetadataError(MetadataError):
    """Metadata whose signed expiry has passed at the reference time."""

    code = "metadata.expired"


class RolledBackError(MetadataError):
    """Metadata older than those seen before."""

    code = "metadata.rolled-back"


class UnsignedMetadataError(MetadataError):
    """Fewer valid signatures of accepted keys than the threshold asks for."""

    code = "metadata.unsigned"


class MixedMetadataError(MetadataError):
    """Metadata files that do not belong to one state of the repository."""

    code = "metadata.mixed"


class TargetMismatchError(MetadataError):
    """A target whose length or hash differs from the signed one."""

    code = "target.mismatch"


class NoTargetError(TrustError):
    """Nothing that is signed describes what was asked for."""

    code = "target.none"


class TokenError(LocalError):
    """The file with the access token cannot be used."""

    code = "token"


class StateError(LocalError):
    """The directory with the client's state cannot be used."""

    code = "state"


class DamagedStateError(StateError):
    """A file in the state directory is damaged, missing, or belongs to another trust root."""

    code = "state.damaged"


class StateBusyError(StateError):
    """Another process refreshes with the same state directory."""

    code = "state.busy"


class NoMetadataError(StateError):
    """No metadata were ever verified with this state directory."""

    code = "state.empty"


class MirrorError(StateError):
    """What another process fetched for this one cannot be used."""

    code = "state.mirror"


class StaleMirrorError(MirrorError):
    """What another process fetched is older than what was verified here since."""

    code = "state.mirror-stale"
