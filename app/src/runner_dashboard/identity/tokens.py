"""API tokens: made, recognised, revoked.

Functions take a connection and the time. The secret is shown once, by whoever made it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from runner_dashboard import audit
from runner_dashboard.data.backend import exclusively
from runner_dashboard.data.tables import tokens
from runner_dashboard.identity.roles import GRANTS, SCOPES, Principal, Role, Scope
from runner_dashboard.identity.secrets import API, Secret
from runner_dashboard.refusals import ConflictError, MalformedError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    from sqlalchemy import Connection, Row

BOOTSTRAP = "bootstrap"


def create(
    connection: Connection,
    now: int,
    *,
    name: str,
    role: Role,
    scopes: Iterable[Scope] | None = None,
    lifetime: int | None = None,
    by: str,
    origin: Literal["made", "printed", "file"] = "made",
    secret: Secret | None = None,
) -> Secret:
    """Make a token for *lifetime* seconds (for ever without), with every scope of its *role* unless *scopes* are named.

    Raises `MalformedError` for a scope that the role cannot have.
    """
    chosen = frozenset(GRANTS[role] if scopes is None else scopes)
    if beyond := chosen - GRANTS[role]:
        raise MalformedError(
            f"a token of a {role.word} cannot have the scope {min(beyond)}",
            hint=f"it may have {', '.join(one for one in SCOPES if one in GRANTS[role])}",
        )
    made = secret or Secret.generate(API)
    connection.execute(
        insert(tokens).values(
            id=made.id,
            secret_hash=made.hash,
            name=name,
            role=role.word,
            scopes=" ".join(one for one in SCOPES if one in chosen),
            origin=origin,
            made_by=by,
            made_at=now,
            expires_at=None if lifetime is None else now + lifetime,
        )
    )
    audit.done(connection, now, actor=by, action="token.create", subject=made.id, detail=f"{role.word} {name}")
    return made


def revoke(connection: Connection, now: int, token_id: str, *, by: str) -> None:
    """Revoke a token, and end every session that it began. Raises `NotFoundError` or `ConflictError`."""
    row = connection.execute(select(tokens.c.revoked_at).where(tokens.c.id == token_id).with_for_update()).first()
    if row is None:
        raise NotFoundError("no such token")
    if row.revoked_at is not None:
        raise ConflictError("this token is revoked already")
    connection.execute(update(tokens).where(tokens.c.id == token_id).values(revoked_at=now))
    audit.done(connection, now, actor=by, action="token.revoke", subject=token_id)


def principal(connection: Connection, now: int, text: str) -> Principal | None:
    """Return whose token *text* is, None for one that is unknown, expired or revoked."""
    secret = Secret.parse(text, API)
    if secret is None:
        return None
    row = connection.execute(select(tokens).where(tokens.c.id == secret.id)).first()
    if row is None or not secret.matches(row.secret_hash):
        return None
    return alive(row, now)


def alive(row: Row[tuple[object, ...]], now: int, session: str | None = None) -> Principal | None:
    """Return whom the row of a token stands for, None when it expired or was revoked."""
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        return None
    return Principal(row.name, f"token:{row.id}", Role.of(row.role), frozenset(row.scopes.split()), session)


def listed(connection: Connection) -> list[Row[tuple[object, ...]]]:
    """Return all tokens, newest first, as their rows."""
    return list(connection.execute(select(tokens).order_by(tokens.c.made_at.desc(), tokens.c.id)))


def bootstrap(connection: Connection, now: int, given: Secret | None) -> Secret | None:
    """See to it that somebody can sign in, and return a token that was made for that and must be shown.

    With a token *given* by a file, that one is the administrator's, and an earlier one from a file is revoked. Without,
    one is made when there was never an administrator's token.
    """
    exclusively(connection, "first token")
    if given is not None:
        _given(connection, now, given)
        return None
    if connection.execute(select(tokens.c.id).where(tokens.c.role == Role.ADMIN.word)).first() is not None:
        return None
    return create(connection, now, name=BOOTSTRAP, role=Role.ADMIN, by="first start", origin="printed")


def _given(connection: Connection, now: int, given: Secret) -> None:
    found = connection.execute(select(tokens).where(tokens.c.id == given.id)).first()
    if found is None:
        create(connection, now, name=BOOTSTRAP, role=Role.ADMIN, by="token file", origin="file", secret=given)
    elif not given.matches(found.secret_hash) or found.revoked_at is not None:
        raise ConflictError(
            "the token of the file was revoked, or is another token's identifier", hint="put a new token into it"
        )
    older = select(tokens.c.id).where(tokens.c.origin == "file", tokens.c.id != given.id, tokens.c.revoked_at.is_(None))
    for (token_id,) in connection.execute(older).all():
        revoke(connection, now, token_id, by="token file")
