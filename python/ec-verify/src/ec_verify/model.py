"""What the steps hand to the judge: plain values, no open files, no opinions.

One dataclass per step of design §5. A step that did not happen is None; a step that was tried and
could not be finished carries `problems` with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ec_closure.store_db_audit import Audit
from ec_verify.observe.layers import StoreLayers
from ec_verify.observe.upper import UpperLayer

if TYPE_CHECKING:
    from ec_closure.manifest import Manifest
    from ec_closure.store_db import PathInfo
    from ec_verify.observe.host import Host
    from ec_verify.observe.mounts import Mount
    from ec_verify.observe.running import Running
    from ec_verify.scan.entries import Entry
    from ec_verify.scan.oddity import Oddity
    from ec_verify.scan.path import PathObservation


@dataclass(frozen=True)
class Problem:
    """Something that will become a finding. *code* is one of `ec_closure.findings`."""

    code: str
    message: str
    path: str | None = None


@dataclass(frozen=True)
class TrustRecord:
    """The signed bytes that a `TrustOutcome` follows from, for those who want to see it follow.

    *files* are TUF metadata by name, *refreshed* when they were fetched (seconds since 1970, this node's clock).
    *manifests* are published manifests by target, that of the running system first if *has_manifest*.
    """

    files: dict[str, bytes]
    refreshed: int
    manifests: dict[str, bytes] = field(default_factory=dict)
    has_manifest: bool = False


@dataclass(frozen=True)
class TrustOutcome:
    """Step 1: the manifest of the running system, and what the metadata say about releases.

    *others* are manifests of other generations on this node. *specialisation* names the one that runs, if one does.
    *metadata_age* in seconds, *offline* tells that neither a server nor what the courier brought was asked. *notes*
    are what a reader must know to weigh it. The judge does not look at *record*.
    """

    manifest: Manifest | None = None
    manifest_digest: str = ""
    target: str = ""
    specialisation: str | None = None
    others: tuple[Manifest, ...] = ()
    metadata_age: int | None = None
    latest_version: int | None = None
    newer_releases: int | None = None
    min_version: int = 0
    withdrawn: tuple[int, ...] = ()
    offline: bool = False
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    record: TrustRecord | None = None


@dataclass(frozen=True)
class Observation:
    """Steps 2 and 3: what runs, and what lies on the disk. *rows* are those of the store database.

    *paths* has one entry for every path that was looked at. *oddities* are what is wrong with the store directory
    itself and with what lies beside the paths. *partial* says why not all was looked at. *database* is what the store
    database holds beside its rows, *layers* what the store directory is made of, *written* what
    the upper layer of an overlay root holds, *host* the machine around the store. *searched* tells whether bytes were
    searched for references. *shared* names, for altered paths, the entries of `.links` that were altered and that they
    share with others.
    """

    running: Running
    mounts: tuple[Mount, ...]
    rows: dict[str, PathInfo]
    entries: tuple[Entry, ...]
    paths: dict[str, PathObservation]
    problems: tuple[Problem, ...] = ()
    partial: tuple[str, ...] = ()
    oddities: tuple[Oddity, ...] = ()
    database: Audit = field(default_factory=Audit)
    layers: StoreLayers = field(default_factory=StoreLayers)
    written: UpperLayer = field(default_factory=UpperLayer)
    searched: bool = False
    shared: dict[str, tuple[str, ...]] = field(default_factory=dict)
    host: Host | None = None


@dataclass(frozen=True)
class Recall:
    """What earlier runs saw. *used* tells whether any of it was believed, *notes* why not.

    *built* has, by store path, when an output was last rebuilt as signed, in seconds since 1970.
    """

    used: bool = False
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    built: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """What a reader must know of the node that reports.

    *volatile* is the file system in memory that its own state lies on, None where that outlives a reboot; *unknown*
    says why neither is known. *nonce* tells whether the report carries one, None where no dashboard is to get it (or no
    report is made), and *nonce_note* where it comes from, or why there is none.
    """

    volatile: str | None = None
    unknown: str | None = None
    nonce: bool | None = None
    nonce_note: str = ""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class InputCheck:
    """One source tree before evaluation: *expected* and *seen* are SRI hashes, *seen* None when it is missing."""

    name: str
    path: str
    expected: str
    seen: str | None


@dataclass(frozen=True)
class Evaluation:
    """Step 4. *drv_path* None when the evaluation did not happen or failed; then *problems* say why.

    *notes* are what a reader must know to weigh it, and go into the report's coverage.
    """

    flake: InputCheck | None
    inputs: tuple[InputCheck, ...] = ()
    attr: str = ""
    drv_path: str | None = None
    out_path: str | None = None
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class OutputEvidence:
    """What rebuilding one output showed.

    *rebuilt* is the SRI hash of the bytes that a builder of ours made, None when it failed.
    *unsound* says why its inputs prove nothing, *failure* why there are no bytes. *tainted_by* names
    the inputs that differ from what CI signed and were therefore taken as signed.
    """

    path: str
    derivation: str
    output: str
    rebuilt: str | None
    unsound: str | None = None
    failure: str | None = None
    tainted_by: tuple[str, ...] = ()
    round: int = 1


@dataclass(frozen=True)
class Rebuild:
    """Step 5. *outputs* by store path; *fixed* are paths whose derivation is fixed-output.

    *unavailable* says why nothing was rebuilt at all. *builders* counts builders seen to run. *remembered* has, by
    store path, when an earlier run rebuilt what this one did not; *elsewhere* are outputs that other nodes rebuild;
    *late* counts the derivations for which nothing was left of what *spent* says in words; *needed* is about how
    many seconds a run needs to get further, 0 where this one did. *inputs* is, by derivation, the digest of what its
    build uses.
    """

    outputs: dict[str, OutputEvidence] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    asked: int = 0
    build_only: int = 0
    builders: int = 0
    rounds: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    strays: tuple[str, ...] = ()
    unavailable: str | None = None
    problems: tuple[Problem, ...] = ()
    remembered: dict[str, int] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()
    late: int = 0
    inputs: dict[str, bytes] = field(default_factory=dict)
    spent: str = ""
    needed: int = 0
