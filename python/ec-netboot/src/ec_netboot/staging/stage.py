"""Staging: fetch, verify, unpack, compare, and only then switch. Whatever fails, what was served is still served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import structlog

from ec_closure.errors import EcError, UsageError
from ec_fetch.client import TrustClient, TrustSettings
from ec_netboot import staged
from ec_netboot.config import read_file
from ec_netboot.errors import ConfigError, ImageError, StateError
from ec_netboot.release import Generation, Standing
from ec_netboot.staging.choose import candidates, choose
from ec_netboot.staging.receive import Tarball, receive_local, receive_signed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tuf.ngclient.fetcher import FetcherInterface

    from ec_netboot.config import Config
    from ec_netboot.release import Platform, Release
    from ec_netboot.state import State

_log = structlog.get_logger()


@dataclass(frozen=True)
class Wish:
    """What the operator asks for by hand: nothing, a *tag*, a *tarball*, or *newest* in spite of an earlier choice."""

    tag: str = ""
    tarball: Tarball | None = None
    newest: bool = False

    @property
    def by_hand(self) -> bool:
        """Whether a release is named, which later stages leave in place until there is a newer one."""
        return bool(self.tag or self.tarball)


_NOTHING = Wish()


@dataclass(frozen=True)
class Outcome:
    """What staging did for one platform. *held*: the operator's earlier choice stays."""

    platform: Platform
    action: Literal["staged", "unchanged", "held"]
    release: Release


def stage(
    config: Config,
    state: State,
    platforms: Sequence[Platform],
    *,
    time: datetime,
    wish: Wish = _NOTHING,
    fetcher: FetcherInterface | None = None,
) -> list[Outcome]:
    """Stage what *wish*, or else *config*, asks for.

    Raises what verification raises (`ec_fetch.errors`), `ArchiveError`, `ScriptError`, `ImageError`, `RollbackError`,
    `ConfigError`, `StateError`. One platform that fails does not keep the others from being staged; the first error is
    raised at the end.
    """
    made = int(time.timestamp())
    outcomes: list[Outcome] = []
    errors: list[EcError] = []
    tarball = wish.tarball
    if tarball is None and not wish.tag and config.release.tarball:
        tarball = Tarball(Path(config.release.tarball), config.release.sha256)
    with state.locked():
        client = None if tarball else _client(config, state, time, fetcher)
        for platform in platforms:
            try:
                if tarball:
                    outcomes.append(_stage_tarball(state, platform, tarball, wish, made))
                elif client:
                    outcomes.append(_stage_signed(config, state, client, platform, wish, made))
            except EcError as error:
                _log.error("not staged", platform=platform, error=str(error))
                errors.append(error)
        if not errors:
            for name in state.prune(config.keep):
                _log.info("removed", release=name)
    if errors:
        raise errors[0]
    return outcomes


def _client(config: Config, state: State, time: datetime, fetcher: FetcherInterface | None) -> TrustClient:
    trust = config.trust
    if not trust.root or trust.metadata_base is None or trust.target_base is None:
        raise ConfigError(
            "no release server is configured",
            place="trust",
            hint="set root, metadata_base and target_base, or stage a local archive: --tarball FILE --sha256 DIGEST",
        )
    settings = TrustSettings(
        metadata_base=trust.metadata_base,
        target_base=trust.target_base,
        root=read_file(Path(trust.root)),
        state_dir=state.trust,
        token_file=Path(trust.token_file) if trust.token_file else None,
        proxy=trust.proxy or None,
        ca_file=Path(trust.ca_file) if trust.ca_file else None,
        deadline=float(trust.deadline),
        scratch=state.incoming,
    )
    try:
        client = TrustClient(settings, reference_time=time, fetcher=fetcher)
    except UsageError as error:
        raise ConfigError(error.message, place=error.place, hint=error.hint) from error
    said = client.refresh()
    # Also what is served already is held against this: a release that is withdrawn is not served any more.
    state.note(
        Standing(
            latest=said.latest_version,
            min_version=said.min_version,
            withdrawn=said.withdrawn,
            checked=int(time.timestamp()),
        )
    )
    return client


def _stage_signed(
    config: Config, state: State, client: TrustClient, platform: Platform, wish: Wish, made: int
) -> Outcome:
    standing = state.standing() or Standing(checked=made)
    generation = state.current(platform)
    served = _served(state, generation)
    known = candidates(client.assets(), client.closures(), platform)
    pinned = wish.tag or ("" if wish.newest else config.release.tag)
    chosen = choose(known, standing, platform, pinned=pinned, served=served, generation=generation, again=wish.newest)
    if chosen is None and served is not None:
        return Outcome(platform, "held", served)
    if chosen is None:
        raise StateError("holds a choice and no release", place=str(state.path))
    if generation is not None and not wish.by_hand and not wish.newest and _was_left(generation, chosen.asset.sha256):
        return Outcome(platform, "held", state.release(generation.release))
    name = _whole(state, chosen.asset.sha256) or receive_signed(state, client, chosen, platform, made)
    return _switch(state, platform, name, wish, made, latest=standing.latest)


def _stage_tarball(state: State, platform: Platform, tarball: Tarball, wish: Wish, made: int) -> Outcome:
    generation = state.current(platform)
    if generation is not None and not wish.by_hand and _was_left(generation, tarball.sha256):
        return Outcome(platform, "held", state.release(generation.release))
    name = _whole(state, tarball.sha256) or receive_local(state, tarball, platform, made)
    standing = state.standing()
    return _switch(state, platform, name, wish, made, latest=standing.latest if standing else 0)


def _was_left(generation: Generation, archive: str) -> bool:
    """Tell whether the operator went back from the release *archive*: then a timer does not take it again."""
    return generation.reason == "rolled-back" and (generation.previous or "").partition(".")[0] == archive


def _served(state: State, generation: Generation | None) -> Release | None:
    """Return the release of *generation*; None where its description is damaged, so that another is staged."""
    if generation is None:
        return None
    try:
        return state.release(generation.release)
    except StateError as error:
        _log.warning("what is served cannot be read", error=str(error))
        return None


def _whole(state: State, archive: str) -> str | None:
    """Return the directory that holds the release *archive* already, if one does whose files are whole."""
    for name in state.names_of(archive):
        try:
            return staged.load(state, name).directory
        except EcError as error:
            _log.warning("damaged, staged anew", release=name, error=str(error))
    return None


def _switch(state: State, platform: Platform, name: str, wish: Wish, made: int, *, latest: int) -> Outcome:
    release = state.release(name)
    if release.platform != platform:
        raise ImageError(f"is for {release.platform}, not for {platform}", place=release.asset)
    current = state.current(platform)
    held = max(latest, release.version) if wish.by_hand else 0
    if current is not None and current.release == name and current.held == held:
        return Outcome(platform, "unchanged", release)
    previous = None
    if current is not None:
        previous = current.previous if current.release == name else current.release
    state.switch(
        platform,
        Generation(
            number=1 if current is None else current.number + 1,
            release=name,
            previous=previous,
            reason="chosen" if wish.by_hand else "staged",
            held=held,
            made=made,
        ),
    )
    return Outcome(platform, "staged", release)
