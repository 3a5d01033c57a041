"""One report, from bytes to an answer, in the order of docs/report-api.md: the first check that fails ends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import bindparam, or_, select

from ec_closure import dsse
from ec_closure import report as reports
from ec_closure.errors import BadInputError
from runner_dashboard.data.tables import nodes
from runner_dashboard.ingest import envelope, rows, store
from runner_dashboard.ingest.store import Arrival
from runner_dashboard.refusals import (
    MalformedError,
    NonceError,
    PendingError,
    RefusedError,
    ReplayedError,
    RetiredError,
    TooLargeError,
)

if TYPE_CHECKING:
    from runner_dashboard.data.database import Database
    from runner_dashboard.ingest.envelope import Claim
    from runner_dashboard.ingest.limits import Rates
    from runner_dashboard.ingest.nonce import Freshness, Nonces
    from runner_dashboard.ingest.store import Answer

# msgspec 0.20 works out what a type holds when it is first decoded, and two threads that do so at once end the process:
# it is worked out here, where there is one thread.
_WORKED_OUT = tuple(msgspec.json.Decoder(kind) for kind in (dsse.Envelope, reports.ReportStatement))
_MAX_KEYS = 32
# Made once: making a query takes longer than SQLite takes for it.
_NAMED = (
    select(nodes.c.public_key)
    .where(
        or_(
            nodes.c.public_key.in_(bindparam("public_keys", expanding=True)),
            nodes.c.keyid.in_(bindparam("keyids", expanding=True)),
        )
    )
    .limit(_MAX_KEYS)
)
_ASK = "ask for one when the run begins"


@dataclass(frozen=True)
class Accepted:
    """A report that is on the disk: now, or before (*known*)."""

    digest: str
    node: str
    freshness: Freshness
    known: bool


def accept(
    database: Database, nonces: Nonces, rates: Rates, *, now: int, body: bytes, token: str, pending: int
) -> Accepted:
    """Take the envelope *body* that came with *token*. When this returns, the report is on the disk.

    *pending* bounds how many unknown nodes may wait for approval. Raises a `RefusedError`. Size was checked before (1).
    """
    # 2. The signature, by a key that is known or that the envelope names itself.
    claimed = envelope.claim(body)
    known = _known(database, claimed)
    signed = envelope.verified(claimed, known)
    node = signed.node
    if signed.public_key in known:
        rates.take(node, now)
    # 3. Only now what it says.
    if len(signed.payload) > reports.MAX_BYTES:
        raise TooLargeError(f"a report of more than the {reports.MAX_BYTES} bytes that are accepted", place=node)
    try:
        decoded = reports.decode(signed.payload).predicate
    except BadInputError as error:
        raise MalformedError(str(error), place=node, hint="see docs/schemas/report.v1.schema.json") from error
    # 4 to 6, and everything that is kept, in one transaction.
    freshness = nonces.judge(now, decoded.nonce, token)
    arrival = Arrival(signed, decoded, rows.prepared(decoded, body), token, freshness, pending)
    answer = database.write(lambda connection: store.keep(connection, now, arrival))
    if answer not in ("accepted", "known"):
        raise _refusal(answer, node)
    return Accepted(signed.digest, node, freshness, known=answer == "known")


def _known(database: Database, claimed: Claim) -> list[str]:
    """Return the public keys of nodes that *claimed* may mean."""
    named = {"public_keys": list(claimed.public_keys), "keyids": list(claimed.keyids)}
    with database.read() as connection:
        return list(connection.execute(_NAMED, named).scalars())


def _refusal(answer: Answer, node: str) -> RefusedError:
    match answer:
        case "pending":
            return PendingError(
                "this node waits for approval", place=node, hint="an operator approves it on the page Enrolment"
            )
        case "full":
            return PendingError(
                "too many nodes wait for approval", place=node, hint="an operator decides about those first"
            )
        case "retired":
            return RetiredError("this node was retired", place=node, hint="give the machine a new key")
        case "nonce strange":
            return NonceError("the nonce was never handed out here", place=node, hint=_ASK)
        case "nonce used":
            return NonceError("the nonce was used before", place=node, hint=_ASK)
        case _:
            return ReplayedError(
                "another report has this boot and counter", place=node, hint="is the key in use twice?"
            )
