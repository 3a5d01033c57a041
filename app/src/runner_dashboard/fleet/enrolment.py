"""Enrolment: nodes that wait, one-time tokens, and what operators decide."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from sqlalchemy import insert, select, update

from runner_dashboard import audit
from runner_dashboard.data.tables import enrolments, nodes, successions
from runner_dashboard.events.event import emit
from runner_dashboard.identity.secrets import ENROLMENT, Secret
from runner_dashboard.ingest import store
from runner_dashboard.ingest.envelope import node_id
from runner_dashboard.refusals import ConflictError, MalformedError, NotFoundError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

_BARE = re.compile(r"[0-9a-f]{64}")
_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo. Source: RFC 8410."""
_MAX_NAME = 200
_LISTED = 500


def create(connection: Connection, now: int, *, name: str, lifetime: int, by: str) -> Secret:
    """Make a one-time token, good for *lifetime* seconds, for a node that will be called *name* (or as it says)."""
    made = Secret.generate(ENROLMENT)
    connection.execute(
        insert(enrolments).values(
            id=made.id, secret_hash=made.hash, name=_name(name), made_by=by, made_at=now, expires_at=now + lifetime
        )
    )
    audit.done(connection, now, actor=by, action="enrolment.create", subject=made.id, detail=name)
    emit(connection, "enrolment", "", now)
    return made


def revoke(connection: Connection, now: int, ticket: str, *, by: str) -> None:
    """Revoke a one-time token that was not used. Raises `NotFoundError` or `ConflictError`."""
    row = connection.execute(select(enrolments).where(enrolments.c.id == ticket).with_for_update()).first()
    if row is None:
        raise NotFoundError("no such one-time token")
    if row.used_at is not None or row.revoked_at is not None:
        raise ConflictError("this one-time token was used or revoked already")
    connection.execute(update(enrolments).where(enrolments.c.id == ticket).values(revoked_at=now))
    audit.done(connection, now, actor=by, action="enrolment.revoke", subject=ticket)
    emit(connection, "enrolment", "", now)


def approve(connection: Connection, now: int, node: str, *, name: str, by: str) -> None:
    """Let a node report that waits. Raises `NotFoundError`, or `ConflictError` for one that does not wait."""
    _in_state(connection, node, "pending")
    store.decide(connection, now, node, "enrolled", by=by, name=_name(name) or None)
    emit(connection, "enrolment", node, now)


def retire(connection: Connection, now: int, node: str, *, by: str) -> None:
    """Refuse a node's reports from now on, for ever: its key does not come back. What it reported is kept.

    Raises `NotFoundError` or `ConflictError`.
    """
    _in_state(connection, node, "pending", "enrolled")
    store.decide(connection, now, node, "retired", by=by)


def enrol_key(connection: Connection, now: int, *, key: str, name: str, by: str) -> str:
    """Enrol a node by its public *key* (as `ec-verify key` prints it) and return its identifier.

    Raises `MalformedError` for another text, `ConflictError` for a key that was decided about.
    """
    public_key = parse_key(key)
    node = node_id(public_key)
    state = connection.execute(select(nodes.c.state).where(nodes.c.id == node).with_for_update()).scalar()
    if state in ("enrolled", "retired"):
        raise ConflictError(f"this key is {state} already", place=node)
    if state is None:
        if not _name(name):
            raise MalformedError("a node that is enrolled by its key needs a name")
        store.add(connection, now, public_key, _name(name))
    store.decide(connection, now, node, "enrolled", by=by, name=_name(name) or None)
    return node


def replace_key(connection: Connection, now: int, node: str, *, key: str, by: str) -> str:
    """Let another *key* take the place of the one of *node*, under its name, and return the new identifier.

    The old key is refused from then on; what it reported is kept. Raises `NotFoundError`, `MalformedError` for
    a text that is no key, `ConflictError` for a node that is not enrolled or a key that was decided about.
    """
    _in_state(connection, node, "enrolled")
    name = connection.execute(select(nodes.c.name).where(nodes.c.id == node)).scalar_one()
    made = enrol_key(connection, now, key=key, name=name, by=by)
    store.decide(connection, now, node, "retired", by=by)
    connection.execute(insert(successions).values(new=made, old=node, at=now, by=by))
    audit.done(connection, now, actor=by, action="node.rekey", subject=node, detail=f"{made} took its place")
    return made


def succession(connection: Connection, node: str) -> tuple[str | None, str | None]:
    """Return which node *node* took the place of, and which took its; None where there is none."""
    before = connection.execute(select(successions.c.old).where(successions.c.new == node)).scalar()
    after = connection.execute(select(successions.c.new).where(successions.c.old == node)).scalar()
    return before, after


def parse_key(text: str) -> str:
    """Return the Ed25519 key that *text* is, PEM or 64 hexadecimal digits, in hexadecimal. Raises `MalformedError`."""
    stripped = text.strip()
    try:
        if _BARE.fullmatch(stripped):
            loaded: Any = Ed25519PublicKey.from_public_bytes(bytes.fromhex(stripped))
        else:
            loaded = load_pem_public_key(stripped.encode())
    except (ValueError, UnsupportedAlgorithm):
        loaded = None
    if not isinstance(loaded, Ed25519PublicKey):
        raise MalformedError("this is no Ed25519 public key", hint="paste what `ec-verify key` prints on the node")
    return loaded.public_bytes_raw().hex()


def waiting(connection: Connection) -> list[Row[tuple[object, ...]]]:
    """Return the nodes that wait for approval, the newest first, as rows of `nodes`."""
    query = select(nodes).where(nodes.c.state == "pending").order_by(nodes.c.first_seen.desc(), nodes.c.id)
    return list(connection.execute(query.limit(_LISTED)))


def tickets(connection: Connection) -> list[Row[tuple[object, ...]]]:
    """Return the newest one-time tokens as rows, without what would let anybody use them."""
    columns = [column for column in enrolments.c if column.name != "secret_hash"]
    return list(connection.execute(select(*columns).order_by(enrolments.c.made_at.desc()).limit(_LISTED)))


def key_line(public_key: str) -> str:
    """Return the line between the first and the last of what `ec-verify key` prints for this key."""
    return base64.b64encode(_PREFIX + bytes.fromhex(public_key)).decode()


def _in_state(connection: Connection, node: str, *states: str) -> None:
    state = connection.execute(select(nodes.c.state).where(nodes.c.id == node).with_for_update()).scalar()
    if state is None:
        raise NotFoundError("no such node")
    if state not in states:
        raise ConflictError(f"this node is {state} already", place=node)


def _name(text: str) -> str:
    stripped = text.strip()
    if len(stripped) > _MAX_NAME or not stripped.isprintable():
        raise MalformedError(f"a name is one line of at most {_MAX_NAME} printable characters")
    return stripped
