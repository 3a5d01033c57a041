"""Passkeys (WebAuthn level 2): registered by who is signed in, and afterwards a way to sign in as the same.

What the browser brings is checked by `fido2`: challenge, origin, our name, user verification, signature. Where a device
counts, a count that does not grow means that the key was copied, and it is refused. Attestation is not asked for: which
maker a device is from does not matter here.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fido2.server import Fido2Server
from fido2.utils import websafe_encode
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from sqlalchemy import delete, insert, select, update

from runner_dashboard import audit
from runner_dashboard.data.tables import passkeys
from runner_dashboard.identity import flows
from runner_dashboard.identity.proxy import OWNER as PROXY
from runner_dashboard.refusals import ConflictError, MalformedError, NotFoundError, SignInError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Row

    from runner_dashboard.identity.roles import Principal

_MOST = 20


class Passkeys:
    """Passkeys for the dashboard at *public_url*: its host is the name that devices show, its origin what they sign."""

    def __init__(self, public_url: str) -> None:
        parts = urlsplit(public_url)
        self.possible = parts.scheme == "https" or parts.hostname == "localhost"
        """Browsers have passkeys over TLS alone, and on `localhost`."""
        rp = PublicKeyCredentialRpEntity(id=parts.hostname or "localhost", name="Runner dashboard")
        self._server = Fido2Server(rp, verify_origin=lambda origin: origin == public_url)

    def offer(self, connection: Connection, now: int, who: Principal) -> dict[str, Any]:
        """Begin to register one: return what the browser is asked, and the *flow* that it brings back.

        Raises `ConflictError` where there can be none.
        """
        if not self.possible:
            raise ConflictError("browsers have no passkeys here", hint="server.public_url must be https")
        if who.owner == PROXY:
            raise ConflictError("who is named by a proxy signs in there", hint="passkeys would be a way around it")
        held = owned(connection, who.owner)
        if len(held) >= _MOST:
            raise ConflictError(f"there are {_MOST} passkeys already", hint="remove one first")
        user = PublicKeyCredentialUserEntity(id=who.owner.encode(), name=who.name, display_name=who.name)
        options, state = self._server.register_begin(
            user,
            [_credential(row) for row in held],
            resident_key_requirement=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        flow = flows.begin(connection, now, "new passkey", {"state": state, "owner": who.owner})
        return {"flow": flow, "options": _plain(options)}

    def register(
        self, connection: Connection, now: int, who: Principal, flow: str, answer: Mapping[str, Any], name: str
    ) -> str:
        """Keep the passkey that the browser made. Raises `MalformedError`, `ConflictError` or `SignInError`."""
        kept = flows.take(connection, now, "new passkey", flow)
        if kept is None or kept["owner"] != who.owner:
            raise SignInError("this passkey was not asked for, or too long ago", hint="begin again")
        try:
            data = self._server.register_complete(kept["state"], answer)
        except (ValueError, KeyError, TypeError) as error:
            raise MalformedError("the browser's answer does not fit what was asked", hint="begin again") from error
        credential = data.credential_data
        if credential is None:
            raise MalformedError("the browser's answer holds no key", hint="begin again")
        made = websafe_encode(credential.credential_id)
        if connection.execute(select(passkeys.c.id).where(passkeys.c.id == made)).first() is not None:
            raise ConflictError("this passkey is known already")
        connection.execute(
            insert(passkeys).values(
                id=made, owner=who.owner, credential=bytes(credential), counter=data.counter, name=name, made_at=now
            )
        )
        audit.done(connection, now, actor=who.name, action="passkey.add", subject=made[:16], detail=name)
        return made

    def challenge(self, connection: Connection, now: int) -> dict[str, Any]:
        """Begin to sign in: return what the browser is asked, and the *flow*. Raises `ConflictError` or `BusyError`."""
        if not self.possible:
            raise ConflictError("browsers have no passkeys here", hint="server.public_url must be https")
        options, state = self._server.authenticate_begin(user_verification=UserVerificationRequirement.REQUIRED)
        return {"flow": flows.begin(connection, now, "passkey", {"state": state}), "options": _plain(options)}

    def owner(self, connection: Connection, now: int, flow: str, answer: Mapping[str, Any]) -> str:
        """Return whose passkey answered the challenge of *flow*. Raises `SignInError`, without saying what failed."""
        kept = flows.take(connection, now, "passkey", flow)
        row = None
        try:
            response = AuthenticationResponse.from_dict(answer)
            row = connection.execute(select(passkeys).where(passkeys.c.id == websafe_encode(response.raw_id))).first()
            if kept is None or row is None:
                raise SignInError("this passkey is not accepted", hint="begin again")
            self._server.authenticate_complete(kept["state"], [_credential(row)], response)
        except (ValueError, KeyError, TypeError) as error:
            raise SignInError("this passkey is not accepted", hint="begin again") from error
        counter = response.response.authenticator_data.counter
        if (counter or row.counter) and counter <= row.counter:
            raise SignInError(
                "this passkey counts backwards: it was copied", place=row.owner, hint="remove it, and make a new one"
            )
        connection.execute(update(passkeys).where(passkeys.c.id == row.id).values(counter=counter, used_at=now))
        return str(row.owner)


def owned(connection: Connection, owner: str) -> list[Row[Any]]:
    """Return the passkeys of *owner*, oldest first."""
    return list(
        connection.execute(
            select(passkeys).where(passkeys.c.owner == owner).order_by(passkeys.c.made_at, passkeys.c.id)
        )
    )


def every(connection: Connection) -> list[Row[Any]]:
    """Return all passkeys, oldest first."""
    return list(connection.execute(select(passkeys).order_by(passkeys.c.made_at, passkeys.c.id)))


def remove(connection: Connection, now: int, who: Principal, passkey: str, *, of_others: bool) -> None:
    """Remove a passkey: one's own, or anybody's with *of_others*. Raises `NotFoundError`."""
    which = [passkeys.c.id == passkey] if of_others else [passkeys.c.id == passkey, passkeys.c.owner == who.owner]
    if not connection.execute(delete(passkeys).where(*which)).rowcount:
        raise NotFoundError("no such passkey")
    audit.done(connection, now, actor=who.name, action="passkey.remove", subject=passkey[:16])


def _plain(options: Mapping[str, Any]) -> Any:
    """Return what JSON has of *options*: words of the standard are enumerations there."""
    return json.loads(json.dumps(dict(options)))


def _credential(row: Row[Any]) -> AttestedCredentialData:
    return AttestedCredentialData(row.credential)
