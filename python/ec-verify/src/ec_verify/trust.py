"""Step 1, trust: the manifest of the running system, from metadata that the pinned root vouches for.

Whatever goes wrong here is an outcome, not an exception: a node without a manifest can still be
found tampered with. Only a configuration that makes no sense raises.
"""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ec_closure import manifest as manifests
from ec_closure.courier import TRUST_DIRECTORY
from ec_closure.errors import BadInputError, EcError, UsageError
from ec_closure.manifest_rules import ManifestError
from ec_fetch import errors as fetch
from ec_fetch.client import TrustClient, TrustSettings
from ec_fetch.mirror import Mirror
from ec_verify.config import read_file, tls_context
from ec_verify.errors import ConfigError
from ec_verify.model import Problem, TrustOutcome, TrustRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from ec_closure.manifest import Manifest
    from ec_fetch.targets import ClosureTarget
    from ec_fetch.trusted import TrustedState
    from ec_verify.config import Config

# Most special first. What is left is the way to the server.
_CODES: tuple[tuple[type[EcError], str], ...] = (
    (BadInputError, "EV108"),
    (fetch.ExpiredMetadataError, "EV102"),
    (fetch.RolledBackError, "EV103"),
    (fetch.TargetMismatchError, "EV107"),
    (fetch.MetadataError, "EV101"),
    (fetch.NoTargetError, "EV106"),
    (fetch.RefusedError, "EV105"),
    (fetch.TokenError, "EV105"),
    (fetch.NoMetadataError, "EV104"),
    (fetch.MirrorError, "EV118"),
    (fetch.StateError, "EV114"),
)


_BROUGHT = "metadata and manifests were brought by `ec-verify fetch`, and verified again"
# Clocks drift; a day is more than they do.
_CLOCK_SLACK = timedelta(days=1)
# The running system's profile, what was booted, and more generations than boot loaders offer.
_MAX_GENERATIONS = 128


@dataclass(frozen=True)
class ManifestFile:
    """A manifest given by hand, to be verified against the metadata of a release directory beside it."""

    path: Path
    root: Path


def establish(
    config: Config,
    toplevel: str | None,
    generations: Iterable[str],
    *,
    time: datetime,
    offline: bool = False,
    given: ManifestFile | None = None,
    directory: Path | None = None,
) -> TrustOutcome:
    """Find, download and check the manifest of *toplevel*, and those of other *generations* where they exist.

    *offline* takes what the courier brought for what a server shows, and falls back on the last verified metadata.
    *directory* is where the client keeps what it has seen, `trust` in the state directory if None. *given* replaces
    the network by a file whose release directory (`…/download/<tag>/FILE` beside `…/download/trust/`) lies around it.
    Raises `ConfigError` for files that cannot be read, for addresses that are none, and for a root given by hand that
    is none.
    """
    wanted = list(dict.fromkeys(path for path in generations if path != toplevel))[:_MAX_GENERATIONS]
    with _settings(config, given, directory) as settings:
        if settings is None:
            return TrustOutcome(problems=(Problem("EV113", "no trust root is pinned: nothing can be proven"),))
        problems = (
            _forgotten(config) if given is None and directory is None else []
        )  # asked before the client makes its directory
        try:
            client = TrustClient(
                replace(settings, kept_targets=max(settings.kept_targets, len(wanted) + 1)), reference_time=time
            )
        except fetch.MetadataError as error:
            if given is not None:
                raise ConfigError(f"is no TUF root: {error}", place=str(given.root), hint=error.hint) from error
            damaged = f"the pinned root cannot be used: {error}: nothing can be proven"
            return TrustOutcome(problems=(Problem("EV113", damaged),))
        except fetch.StateError as error:
            return TrustOutcome(problems=(problem(error),))
        except UsageError as error:
            raise ConfigError(error.message, place=error.place, hint=error.hint) from error
        notes: list[str] = []
        mirror = Mirror(config.courier_dir / TRUST_DIRECTORY) if offline and given is None else None
        state = _state(client, mirror, offline=offline, problems=problems, notes=notes)
        if state is None:
            return TrustOutcome(problems=tuple(problems))
        if is_clock_behind(time, state):
            # Nothing that expires can be judged by such a clock, so nothing is (pitfall P51).
            text = (
                f"the clock says {time:%Y-%m-%d %H:%M}, metadata verified here are of {_signed(state):%Y-%m-%d %H:%M}"
            )
            return TrustOutcome(problems=(*problems, Problem("EV115", text)))
        outcome = TrustOutcome(
            metadata_age=state.age(time),
            latest_version=state.latest_version or None,
            min_version=state.min_version,
            withdrawn=state.withdrawn,
            offline=state.offline and _BROUGHT not in notes,
            notes=tuple(notes),
        )
        kept: dict[str, bytes] = {}
        if toplevel is not None:
            outcome = _manifest(client, toplevel, outcome, problems, kept)
        if given is not None and outcome.manifest is not None:
            _compare(given, outcome, problems)
        others = _others(client, wanted, outcome.target, problems, kept)
        record = TrustRecord(
            client.metadata, int(state.refreshed.timestamp()), kept, has_manifest=outcome.manifest is not None
        )
    return replace(outcome, others=others, problems=tuple(problems), record=record)


def is_clock_behind(time: datetime, state: TrustedState) -> bool:
    """Tell whether *time* is before metadata were signed: then it cannot judge what expires."""
    return time < _signed(state) - _CLOCK_SLACK


def _signed(state: TrustedState) -> datetime:
    return state.issued or state.refreshed


def _forgotten(config: Config) -> list[Problem]:
    """Say that rollback protection begins anew: reports were made here, yet no metadata are remembered."""
    if not (config.state / "counter").exists() or (config.state / "trust").exists():
        return []
    return [Problem("EV114", "verified metadata of earlier runs are gone: protection against rollback begins now")]


@contextmanager
def _settings(config: Config, given: ManifestFile | None, directory: Path | None) -> Iterator[TrustSettings | None]:
    trust = config.trust
    if given is not None:
        read_file(given.path, manifests.MAX_COMPRESSED)
        release = given.path.resolve().parent.parent
        with tempfile.TemporaryDirectory(prefix="ec-verify-trust-") as state:
            yield TrustSettings(
                metadata_base=f"{(release / 'trust').as_uri()}/",
                target_base=f"{release.as_uri()}/",
                root=read_file(given.root),
                state_dir=Path(state),
            )
        return
    if not trust.root or trust.metadata_base is None or trust.target_base is None:
        yield None
        return
    root = Path(trust.root)
    if not root.exists():
        yield None
        return
    yield TrustSettings(
        metadata_base=trust.metadata_base,
        target_base=trust.target_base,
        root=read_file(root),
        state_dir=directory or config.state / "trust",
        token_file=Path(trust.token_file) if trust.token_file else None,
        proxy=trust.proxy or None,
        ca_file=_authorities(trust.ca_file),
        deadline=float(trust.deadline),
    )


def _authorities(name: str) -> Path | None:
    """Return the file of certificate authorities, None for the system's. Raises `ConfigError` when it is none."""
    if not name:
        return None
    tls_context(Path(name), "trust.ca_file")  # read here, where a mistake is one of the configuration
    return Path(name)


def _state(
    client: TrustClient, mirror: Mirror | None, *, offline: bool, problems: list[Problem], notes: list[str]
) -> TrustedState | None:
    if mirror is not None and (state := _adopted(client, mirror, problems, notes)) is not None:
        return state
    if not offline:
        try:
            return client.refresh()
        except EcError as error:
            problems.append(problem(error))
    try:
        return client.offline()
    except fetch.NoMetadataError as error:
        if offline:
            problems.append(problem(error))
    except EcError as error:
        problems.append(problem(error))
    return None


def _adopted(client: TrustClient, mirror: Mirror, problems: list[Problem], notes: list[str]) -> TrustedState | None:
    """Take what the courier brought for what a server shows."""
    try:
        state = client.adopt(mirror)
    except fetch.NoMetadataError:
        return None  # no courier works here; what is missing then is said by others
    except fetch.StaleMirrorError as error:
        notes.append(f"what `ec-verify fetch` left is {error.message}: not used")
        return None
    except EcError as error:
        problems.append(problem(error))
        return None
    notes.append(_BROUGHT)
    return state


def _manifest(
    client: TrustClient, toplevel: str, outcome: TrustOutcome, problems: list[Problem], kept: dict[str, bytes]
) -> TrustOutcome:
    try:
        target = client.find(toplevel)
        manifest = _fetch(client, target, kept)
        specialisation = specialisation_of(manifest, toplevel, target.name)
    except EcError as error:
        kept.clear()
        problems.append(problem(error))
        return outcome
    versions = {closure.version for closure in client.closures()}
    return replace(
        outcome,
        manifest=manifest,
        manifest_digest=target.sha256,
        target=target.name,
        specialisation=specialisation,
        newer_releases=sum(version > target.version for version in versions),
    )


def _fetch(client: TrustClient, target: ClosureTarget, kept: dict[str, bytes]) -> Manifest:
    """Download and decode a manifest, keep its bytes, and see whether it is the one that signed metadata describe."""
    data = client.download(target)
    manifest = read_manifest(data, target)
    kept[target.name] = data
    return manifest


def read_manifest(data: bytes, target: ClosureTarget) -> Manifest:
    """Decode the verified bytes of *target*. Raises `ManifestError` when it is not what its metadata describe."""
    manifest = manifests.decode(data, what=target.name)
    if (manifest.system.out_path, manifest.release.version) != (target.toplevel, target.version):
        raise ManifestError(
            f"describes {manifest.system.out_path} of release {manifest.release.version}, not what its metadata say",
            place=target.name,
        )
    return manifest


def specialisation_of(manifest: Manifest, toplevel: str, what: str) -> str | None:
    """Return the name of the manifest's specialisation that *toplevel* is, None when it is the system itself."""
    if manifest.system.out_path == toplevel:
        return None
    for name, path in manifest.system.specialisations.items():
        if path == toplevel:
            return name
    raise ManifestError(f"does not know the specialisation {toplevel}, as its metadata say", place=what)


def _compare(given: ManifestFile, outcome: TrustOutcome, problems: list[Problem]) -> None:
    digest = hashlib.sha256(read_file(given.path, manifests.MAX_COMPRESSED)).hexdigest()
    if digest != outcome.manifest_digest:
        problems.append(
            Problem(
                "EV107", f"{given.path} is not the manifest that the metadata name for this system ({outcome.target})"
            )
        )


def _others(
    client: TrustClient, generations: list[str], known: str, problems: list[Problem], kept: dict[str, bytes]
) -> tuple[Manifest, ...]:
    """Return the manifests of *generations*, each once, and not that of the target called *known* again."""
    found: list[Manifest] = []
    seen = {known}
    for toplevel in dict.fromkeys(generations):
        try:
            for target in client.find_all([toplevel]).values():
                if target.name not in seen:
                    seen.add(target.name)
                    found.append(_fetch(client, target, kept))
        except EcError as error:
            problems.append(problem(error))
    return tuple(found)


def problem(error: EcError) -> Problem:
    """Return the problem that *error* becomes."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), "EV104")
    return Problem(code, f"{error} ({error.hint})" if error.hint else str(error))
