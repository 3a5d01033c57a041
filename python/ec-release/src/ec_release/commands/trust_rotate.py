"""`ec-release trust rotate`, `trust renew` and `trust apply`: change the root, at once or with others."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - cyclopts reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ec_closure.errors import UsageError
from ec_release.commands.options import Days, Repository
from ec_release.output import emit
from ec_release.trust import keys
from ec_release.trust.ceremony import PENDING, propose, read_pending, write_pending
from ec_release.trust.ceremony import apply as apply_pending
from ec_release.trust.initialise import PINNED
from ec_release.trust.proposal import find_key, replace_keys
from ec_release.trust.roles import Role  # noqa: TC001 - cyclopts reads annotations at run time

if TYPE_CHECKING:
    from collections.abc import Callable

    from tuf.api.metadata import Root

    from ec_release.trust.update import Signing

_DEFAULTS = Days()
_PENDING_HELP = "Where the proposal lies [pending-root.json beside the keys]."


def rotate(
    *roles: Annotated[Role, Parameter(help="Whose keys to replace, in one proposal.")],
    repository: Repository,
    remove: Annotated[tuple[str, ...], Parameter(help="Which root key goes.", negative=())] = (),
    add: Annotated[tuple[Path, ...], Parameter(help="A public root key that comes.", negative=())] = (),
    threshold: Annotated[int | None, Parameter(help="How many root keys must sign from then on.")] = None,
    pending: Annotated[Path | None, Parameter(help=_PENDING_HELP)] = None,
    days: Days = _DEFAULTS,
) -> None:
    """Replace keys of roles. With the root keys at hand it happens at once; else a proposal is written.

    The online roles have one key each, which is replaced by a new one. Of the root's keys, name those that go with
    --remove; as many new ones are made, except where --add brings public keys instead.
    """
    if not roles:
        raise UsageError("say whose key to replace", hint="targets, snapshot, timestamp or root")
    if "root" in roles and not (remove or add or threshold):
        raise UsageError("say which root key goes", hint="--remove KEY; `ec-release trust show` lists the keys")
    if "root" not in roles and (remove or add or threshold):
        raise UsageError("--remove, --add and --threshold are about root keys", hint="name the role `root` as well")
    signing = repository.signing(days)

    def edit(root: Root) -> None:
        for role in dict.fromkeys(roles):
            if role == "root":
                going = [find_key(root, role, prefix) for prefix in remove]
                coming = [keys.load_public(path) for path in add]
            else:
                going, coming = list(root.roles[role].keyids), []
            for _ in range(max(0, len(going) - len(coming))):
                path = keys.new_file(repository.keys[0], role)
                signer = keys.generate(path)
                signing.ring.add(signer, path)
                coming.append(signer.public_key)
            replace_keys(root, role, going, coming, threshold if role == "root" else None)

    _change(repository, signing, pending, edit)


def renew(
    *,
    repository: Repository,
    pending: Annotated[Path | None, Parameter(help=_PENDING_HELP)] = None,
    days: Days = _DEFAULTS,
) -> None:
    """Give the root a later expiry, with the same keys."""
    _change(repository, repository.signing(days), pending, lambda _root: None)


def apply(
    *,
    repository: Repository,
    pending: Annotated[Path | None, Parameter(help=_PENDING_HELP)] = None,
    days: Days = _DEFAULTS,
) -> None:
    """Publish a proposed root that has its signatures, and sign anew what its keys did not sign."""
    path = pending or repository.keys[0] / PENDING
    emit(_apply(repository, repository.signing(days), path), as_json=repository.json)


def _change(repository: Repository, signing: Signing, pending: Path | None, edit: Callable[[Root], None]) -> None:
    path = pending or repository.keys[0] / PENDING
    summary = propose(repository.backend(), signing, repository.pinned(), path, edit)
    result: dict[str, Any] = {"proposal": summary}
    if summary.complete:
        result |= _apply(repository, signing, path)
    else:
        result |= {"applied": False, "pending": path}
    emit(result, as_json=repository.json)


def _apply(repository: Repository, signing: Signing, pending: Path) -> dict[str, Any]:
    proposal = read_pending(pending)
    applied = apply_pending(repository.backend(), signing, repository.pinned(), proposal)
    if repository.root is None:
        # What CI pins moves along, so that an older root cannot be put in its place.
        for directory in repository.keys:
            if (directory / PINNED).exists():
                write_pending(directory / PINNED, proposal)
    pending.unlink()
    unused = [path for keyid, path in signing.ring.files.items() if keyid not in proposal.signed.keys]
    return {
        "applied": True,
        "signed_anew": applied.signed,
        "metadata": applied.versions,
        "keys_no_longer_accepted": unused,
    }
