"""A new root as a proposal: which keys come and go, which signatures it still lacks. Pure; nothing is published."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_closure.errors import UsageError
from ec_release.errors import CeremonyError
from ec_release.trust.roles import ONLINE, Role
from ec_release.trust.signing import short

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from securesystemslib.signer import Key
    from tuf.api.metadata import Metadata, Root

    from ec_release.trust.keys import KeyRing
    from ec_release.trust.roles import Periods

_MIN_PREFIX = 8


@dataclass(frozen=True)
class Summary:
    """What people look at before they sign.

    Both the current root's keys and the proposed root's must sign; *missing_…* counts what each still lacks.
    """

    version: int
    expires: datetime
    changes: tuple[str, ...]
    signed_by: tuple[str, ...]
    missing_of_current_keys: int
    missing_of_proposed_keys: int
    may_sign: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether both thresholds are met."""
        return self.missing == 0

    @property
    def missing(self) -> int:
        """How many more signatures are needed at least."""
        return max(self.missing_of_current_keys, self.missing_of_proposed_keys)


def successor(root: Root, time: datetime, periods: Periods) -> Root:
    """Return a copy of *root* with the next version and a new expiry."""
    new = copy.deepcopy(root)
    new.version = root.version + 1
    new.expires = periods.expiry("root", time)
    return new


def replace_keys(root: Root, role: Role, remove: Sequence[str], add: Sequence[Key], threshold: int | None) -> None:
    """Change the keys of *role* in *root*: *remove* by key identifier, then *add*. Raises `UsageError`."""
    for keyid in remove:
        root.revoke_key(keyid, role)
    publics = {key.keyval["public"]: keyid for keyid, key in root.keys.items()}
    for key in add:
        known = publics.setdefault(key.keyval["public"], key.keyid)
        if known != key.keyid or key.keyid in root.roles[role].keyids:
            raise UsageError(f"the key {short(key.keyid)} is there already: a threshold counts different keys")
        root.add_key(key, role)
    if threshold is not None:
        root.roles[role].threshold = threshold
    have, wanted = len(root.roles[role].keyids), root.roles[role].threshold
    if not 1 <= wanted <= have:
        raise UsageError(f"a threshold of {wanted} cannot be met by {have} keys of the {role} role")


def find_key(root: Root, role: Role, prefix: str) -> str:
    """Return the identifier of the one key of *role* that starts with *prefix*. Raises `UsageError`."""
    matching = [keyid for keyid in root.roles[role].keyids if keyid.startswith(prefix)]
    if len(prefix) < _MIN_PREFIX or len(matching) != 1:
        raise UsageError(
            f"{prefix!r} names {len(matching)} keys of the {role} role",
            hint=f"give at least {_MIN_PREFIX} characters of one identifier; `ec-release trust show` lists them",
        )
    return matching[0]


def add_signatures(pending: Metadata[Root], current: Root, ring: KeyRing) -> tuple[str, ...]:
    """Sign *pending* with every key on *ring* that counts; return their identifiers. Raises `CeremonyError`."""
    counting = dict.fromkeys([*current.roles["root"].keyids, *pending.signed.roles["root"].keyids])
    used = tuple(keyid for keyid in counting if keyid in ring.signers)
    for keyid in used:
        pending.sign(ring.signers[keyid], append=True)
    if not used:
        names = ", ".join(short(keyid) for keyid in counting)
        raise CeremonyError("none of these keys is a root key", hint=f"keys that may sign: {names}")
    return used


def summarise(pending: Metadata[Root], current: Metadata[Root]) -> Summary:
    """Return what *pending* changes and lacks. Raises `CeremonyError` when it does not follow *current*."""
    old, new = current.signed, pending.signed
    if new.version != old.version + 1:
        raise CeremonyError(
            f"is version {new.version} and does not follow version {old.version}",
            place="pending root",
            hint="the current root changed since; make a new proposal",
        )
    result = new.get_root_verification_result(old, pending.signed_bytes, pending.signatures)
    return Summary(
        version=new.version,
        expires=new.expires,
        changes=_changes(old, new),
        signed_by=tuple(short(keyid) for keyid in result.signed),
        missing_of_current_keys=result.first.missing,
        missing_of_proposed_keys=result.second.missing,
        may_sign=tuple(short(keyid) for keyid in result.unsigned),
    )


def _changes(old: Root, new: Root) -> tuple[str, ...]:
    lines = []
    roles: tuple[Role, ...] = ("root", *ONLINE)
    for role in roles:
        before, after = old.roles[role], new.roles[role]
        lines += [f"{role}: key {short(keyid)} goes" for keyid in before.keyids if keyid not in after.keyids]
        lines += [f"{role}: key {short(keyid)} comes" for keyid in after.keyids if keyid not in before.keyids]
        if before.threshold != after.threshold:
            lines.append(f"{role}: threshold {before.threshold} becomes {after.threshold}")
    lines += [f"key {short(keyid)} changes its bytes" for keyid in new.keys if _differs(old, new, keyid)]
    if old.consistent_snapshot != new.consistent_snapshot:
        lines.append(f"consistent_snapshot becomes {new.consistent_snapshot}")
    lines.append(f"expires {new.expires:%Y-%m-%d} instead of {old.expires:%Y-%m-%d}")
    return tuple(lines)


def _differs(old: Root, new: Root, keyid: str) -> bool:
    return keyid in old.keys and old.keys[keyid] != new.keys[keyid]
