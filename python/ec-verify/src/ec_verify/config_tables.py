"""The tables of `verify.toml`, and the types of what stands in them. What holds between tables: `ec_verify.config`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ec_closure.record import Line
from ec_verify.ghost.scratch import parse_size
from ec_verify.location import STATE_DIR, STORE_DIR
from ec_verify.observe.places import BOOT

# `(?!\n)`: Python's `$` also matches before a last newline.
Absolute = Annotated[str, msgspec.Meta(pattern=r"^/[^\x00-\x1f\x7f]*$(?!\n)")]
AbsoluteOrEmpty = Annotated[str, msgspec.Meta(pattern=r"^(/[^\x00-\x1f\x7f]*)?$(?!\n)")]
Url = Annotated[str, msgspec.Meta(pattern=r"^(https?|file)://[^\s\x00-\x1f\x7f]+/$(?!\n)")]
UrlOrEmpty = Annotated[str, msgspec.Meta(pattern=r"^(https?://[^\s\x00-\x1f\x7f]+)?$(?!\n)")]
Size = Annotated[str, msgspec.Meta(pattern=r"^(0|[1-9][0-9]{0,8}[KMG])$(?!\n)")]
Attribute = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.+@'\"-]*$(?!\n)")]


StoreLayersKind = Literal["auto", "plain", "mount", "overlay"]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of verify.toml."""


class StoreTable(Table, frozen=True, kw_only=True):
    """Which store is verified. *dir* and *state* are logical paths under *root*.

    *layers* is what belongs on the store directory: no mount of its own, one, an overlay, or what the running system's
    own fstab says. *references* asks for a search of the bytes for references, besides their hash.
    """

    root: Absolute = "/"
    dir: Absolute = STORE_DIR
    state: Absolute = STATE_DIR
    layers: StoreLayersKind = "auto"
    references: bool = False


class TrustTable(Table, frozen=True, kw_only=True):
    """Whom to believe. *root* is the pinned TUF root file; both bases end with a slash."""

    root: AbsoluteOrEmpty = "/etc/ec-verify/root.json"
    metadata_base: Url | None = None
    target_base: Url | None = None
    token_file: AbsoluteOrEmpty = ""
    proxy: UrlOrEmpty = ""
    ca_file: AbsoluteOrEmpty = ""
    deadline: Annotated[int, msgspec.Meta(ge=1, le=86400)] = 120


class CourierTable(Table, frozen=True, kw_only=True):
    """What `ec-verify fetch` and `submit` own: *directory*, empty for `courier` in the state directory.

    A nonce that was fetched is used within *nonce_lifetime* seconds, or not at all.
    """

    directory: AbsoluteOrEmpty = ""
    nonce_lifetime: Annotated[int, msgspec.Meta(ge=1, le=604800)] = 3600


class SourceTable(Table, frozen=True, kw_only=True):
    """The embedded flake. *attr* empty means the attribute that the manifest names.

    *timeout* in seconds and *memory* in MiB bound its evaluation; 0 MiB is three quarters of what is available.
    """

    flake: Absolute = "/etc/every-channel/flake"
    attr: Attribute = ""
    timeout: Annotated[int, msgspec.Meta(ge=1, le=86400)] = 1800
    memory: Annotated[int, msgspec.Meta(ge=0, le=1 << 24)] = 0


class NixTable(Table, frozen=True, kw_only=True):
    """The Nix that evaluates and builds. *substituters* serve missing build inputs only."""

    program: Line = "nix"
    sandbox_paths: tuple[Line, ...] = ()
    substituters: tuple[Line, ...] = ()


class RebuildTable(Table, frozen=True, kw_only=True):
    """Limits of rebuilding. *scratch*: `auto`, a directory, or `tmpfs:SIZE`.

    *timeout* in seconds per derivation, *silent* without a word from its builder.
    """

    scratch: Line = "auto"
    jobs: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 0
    timeout: Annotated[int, msgspec.Meta(ge=1)] = 3600
    silent: Annotated[int, msgspec.Meta(ge=1)] = 1800


class RescanTable(Table, frozen=True, kw_only=True):
    """What need not be read again. In *runs* runs everything is."""

    enabled: bool = True
    runs: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 30


class BudgetTable(Table, frozen=True, kw_only=True):
    """What rebuilding may take. *time* in seconds; *disk* in scratch; 0 for what it takes.

    *cpu_weight* and *memory* are for all that runs in the ghost; 0 leaves it alone.
    """

    time: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0
    disk: Size = "0"
    cpu_weight: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 20
    memory: Size = "0"

    @property
    def bounded(self) -> bool:
        """Whether rebuilding may end before it is done, so that earlier rebuilds count."""
        return bool(self.time or self.disk_bytes)

    @property
    def disk_bytes(self) -> int:
        """*disk* in bytes."""
        return _bytes(self.disk)

    @property
    def memory_bytes(self) -> int:
        """*memory* in bytes."""
        return _bytes(self.memory)


class FleetTable(Table, frozen=True, kw_only=True):
    """Who shares the rebuild: *members* are the names of all nodes, this one included; *copies* rebuild each part."""

    members: tuple[Line, ...] = ()
    copies: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 2


class ReportTable(Table, frozen=True, kw_only=True):
    """Where reports go. *url* is the dashboard's base; empty values switch a destination off.

    *evidence* keeps a bundle beside each report.
    """

    url: UrlOrEmpty = ""
    token_file: AbsoluteOrEmpty = ""
    ca_file: AbsoluteOrEmpty = ""
    textfile: AbsoluteOrEmpty = ""
    directory: AbsoluteOrEmpty = ""
    evidence: bool = False
    keep: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 100


class SystemTable(Table, frozen=True, kw_only=True):
    """The links that say what runs, under the store's root."""

    current: Absolute = "/run/current-system"
    booted: Absolute = "/run/booted-system"
    profile: Absolute = "/nix/var/nix/profiles/system"


class BootTable(Table, frozen=True, kw_only=True):
    """Where firmware and boot loaders read, under the store's root; empty for nowhere."""

    directories: tuple[Absolute, ...] = BOOT


def _bytes(size: str) -> int:
    return 0 if size == "0" else parse_size(size)
