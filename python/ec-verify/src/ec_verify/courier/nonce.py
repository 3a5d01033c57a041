"""The nonce that `ec-verify fetch` left, for one report."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated

import msgspec

from ec_closure import canonical, foreign, strict_json
from ec_closure.courier import MAX_BYTES, NONCE_FILE, KeptNonce
from ec_closure.errors import BadInputError
from ec_closure.record import Record, Sha256
from ec_verify.errors import StateError

if TYPE_CHECKING:
    from ec_verify.config import Config
    from ec_verify.state import State

LATE = "the report carries no nonce and counts as late: "
_USED = "nonces"
_MAX_USED = 64


class _Used(Record, frozen=True, kw_only=True):
    """Digests of nonces that reports of this node carried, the last one last."""

    sha256: Annotated[tuple[Sha256, ...], msgspec.Meta(max_length=_MAX_USED)] = ()


def take(config: Config, state: State, *, now: int) -> tuple[str | None, str]:
    """Return the kept nonce and where it comes from; None, and why, where none may be used. Hold the lock.

    It is used once: its digest is remembered before it is handed out. *now* in seconds since 1970. Raises
    `ForeignFileError` and `BadInputError` for what is no kept nonce, `StateError`. Not checked: that the dashboard gave
    it; a report with any other is refused there.
    """
    data = foreign.read(config.courier_dir, NONCE_FILE, MAX_BYTES)
    if data is None:
        return None, f"{LATE}`ec-verify fetch` left none"
    kept = canonical.decode(data, KeptNonce, what=str(config.courier_dir / NONCE_FILE), max_bytes=MAX_BYTES)
    if kept.url != config.report.url:
        return None, f"{LATE}that which was fetched is of another dashboard"
    if not 0 <= now - kept.asked <= config.courier.nonce_lifetime:
        return None, f"{LATE}that which was fetched is too old, or of the future"
    digest = hashlib.sha256(kept.nonce.encode()).hexdigest()
    used = _used(state)
    if digest in used:
        return None, f"{LATE}that which was fetched was used already"
    state.write(_USED, canonical.encode(_Used(sha256=(*used, digest)[-_MAX_USED:])))
    return kept.nonce, "fresh: the report carries the nonce that `ec-verify fetch` brought"


def _used(state: State) -> tuple[str, ...]:
    data = state.read(_USED, MAX_BYTES + 1)
    if data is None:
        return ()
    try:
        return strict_json.decode(data, _Used, what=_USED, max_bytes=MAX_BYTES).sha256
    except BadInputError as error:
        raise StateError(
            f"damaged: {error.message}", place=str(state.path / _USED), hint="delete it once no fetched nonce is left"
        ) from error
