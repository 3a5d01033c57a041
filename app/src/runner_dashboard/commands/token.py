"""`runner-dashboard token`: API tokens, and one-time tokens with which nodes enrol themselves."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from cyclopts import Parameter

from ec_closure.decoding import excerpt
from runner_dashboard.commands.options import Common
from runner_dashboard.data import opening
from runner_dashboard.data.database import Database
from runner_dashboard.fleet import enrolment
from runner_dashboard.identity import tokens
from runner_dashboard.identity.roles import Role, Scope
from runner_dashboard.identity.secrets import API, Secret

_DAY = 86_400
_BY = "command line"
Days = Annotated[int | None, Parameter(help="Days until it ends; without, it never does.")]


def generate_token() -> int:
    """Print a new token for `identity.bootstrap_token_file`, and remember nothing."""
    sys.stdout.write(f"{Secret.generate(API).render()}\n")
    return 0


def create_token(
    name: str,
    /,
    *,
    role: Literal["viewer", "operator", "admin"] = "viewer",
    scope: tuple[Scope, ...] = (),
    days: Days = None,
    common: Common = Common(),
) -> int:
    """Make an API token and print it; only its hash is kept. It works at once, also while the server runs.

    Parameters
    ----------
    name: str
        Who or what it is for: it stands in the audit.
    role: Literal["viewer", "operator", "admin"]
        What it may at most.
    scope: tuple[Scope, ...]
        What it may of that (read, metrics, enrol, audit, tokens); everything when not given.
    """
    with _database(common) as database:
        made = database.write(
            lambda connection: tokens.create(
                connection,
                int(time.time()),
                name=name,
                role=Role.of(role),
                scopes=scope or None,
                lifetime=None if days is None else days * _DAY,
                by=_BY,
            )
        )
    sys.stdout.write(f"{made.render()}\n")
    return 0


def list_token(
    *, json: Annotated[bool, Parameter(help="Print JSON.", negative=())] = False, common: Common = Common()
) -> int:
    """Print all API tokens, without their secrets."""
    with _database(common) as database, database.read() as connection:
        rows = tokens.listed(connection)
    if json:
        kept = ("id", "name", "role", "scopes", "origin", "made_by", "made_at", "expires_at", "revoked_at")
        listed = [{name: getattr(row, name) for name in kept} for row in rows]
        sys.stdout.write(msgspec.json.encode(listed).decode() + "\n")
        return 0
    for row in rows:
        state = "revoked" if row.revoked_at else f"until {_day(row.expires_at)}" if row.expires_at else "for ever"
        sys.stdout.write(f"{row.id}  {row.role:8}  {state:16}  {excerpt(row.name)}  ({row.scopes})\n")
    return 0


def revoke_token(token_id: str, /, *, common: Common = Common()) -> int:
    """Revoke an API token by its identifier (the middle part of it): sessions that it began end, too."""
    with _database(common) as database:
        database.write(lambda connection: tokens.revoke(connection, int(time.time()), token_id, by=_BY))
    return 0


def enrol_token(*, name: str = "", days: int = 7, common: Common = Common()) -> int:
    """Make a one-time token and print it: the first node that sends a report with it is enrolled.

    Put it into the node's node.toml (`[dashboard] token`), or into the file that `report.token_file` of its verify.toml
    names.

    Parameters
    ----------
    name: str
        What the node will be called here; what it calls itself when not given.
    days: int
        Days until it ends unused.
    """
    with _database(common) as database:
        made = database.write(
            lambda connection: enrolment.create(connection, int(time.time()), name=name, lifetime=days * _DAY, by=_BY)
        )
    sys.stdout.write(f"{made.render()}\n")
    return 0


def _database(common: Common) -> Database:
    """Return the database, which must have this version's schema. Raises `DatabaseError`."""
    database = opening.database(common.load())
    try:
        database.check()
    except BaseException:
        database.close()
        raise
    return database


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")
