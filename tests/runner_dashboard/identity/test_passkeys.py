"""Passkeys, with a device made of software: what it is asked, what it answers, and what attackers answer."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.cose import ES256

from runner_dashboard.config import ServerTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ORIGIN = "https://dashboard.example.org"
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def text(data: bytes) -> str:
    """Return base64url."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Device:
    """A device that holds one key. *origin*, *host* and *flags* are what it says of browser and user."""

    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: os.urandom(32))
    origin: str = ORIGIN
    host: str = "dashboard.example.org"
    flags: int = PRESENT | VERIFIED
    counter: int = 0

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    def _head(self, flags: int) -> bytes:
        return hashlib.sha256(self.host.encode()).digest() + struct.pack(">BI", flags, self.counter)

    def create(self, options: Any) -> dict[str, Any]:
        """Answer to `navigator.credentials.create`."""
        asked = options["publicKey"]
        public = cbor.encode(dict(ES256.from_cryptography_key(self.key.public_key())))
        attested = bytes(16) + struct.pack(">H", len(self.id)) + self.id + public
        data = self._head(self.flags | ATTESTED) + attested
        response = {
            "clientDataJSON": text(self._client("webauthn.create", asked["challenge"])),
            "attestationObject": text(cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})),
        }
        return {"id": text(self.id), "rawId": text(self.id), "type": "public-key", "response": response}

    def get(self, options: Any) -> dict[str, Any]:
        """Answer to `navigator.credentials.get`."""
        client = self._client("webauthn.get", options["publicKey"]["challenge"])
        data = self._head(self.flags)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": text(client), "authenticatorData": text(data), "signature": text(signature),
        }  # fmt: skip
        return {"id": text(self.id), "rawId": text(self.id), "type": "public-key", "response": response}


@pytest.fixture
def secure(serve: Callable[..., Any]) -> Iterator[Any]:
    """Give a dashboard that browsers see over TLS."""
    with serve(server=ServerTable(port=0, grace=5, public_url=ORIGIN)) as found:
        yield found


@pytest.fixture
def admin(secure: Any, browse: Callable[[Any], Any]) -> Any:
    """Give a browser in which the administrator's token signed in."""
    browser = browse(secure)
    browser.sign_in(secure.admin)
    return browser


def add(browser: Any, device: Device, name: str = "a key") -> Any:
    """Register *device* for who is signed in, and return the last answer."""
    value = browser.form_value("/settings")
    asked = browser.send("/settings/passkeys/challenge", {"form_value": value}).json
    fields = {"flow": asked["flow"], "answer": json.dumps(device.create(asked["options"]))}
    return browser.send("/settings/passkeys", {"form_value": value, "name": name, **fields})


def enter(browser: Any, device: Device) -> Any:
    """Sign in with *device*, and keep the cookie."""
    asked = browser.send("/sign-in/passkey/challenge", {}).json
    fields = {"flow": asked["flow"], "answer": json.dumps(device.get(asked["options"]))}
    answer = browser.send("/sign-in/passkey", fields)
    browser.cookie = answer.headers.get("set-cookie", "").partition(";")[0]
    return answer


def test_a_passkey_signs_in_as_who_made_it(secure: Any, admin: Any, browse: Any) -> None:
    """With the same rights, and under the same name in the audit."""
    device = Device()
    assert add(admin, device, "the key on my desk").headers["location"] == "/settings"
    assert "the key on my desk" in admin.get("/settings").text
    browser = browse(secure)

    assert enter(browser, device).headers["location"] == "/"
    assert browser.get("/tokens").status == 200
    assert secure.count("audit", "action = 'passkey.add'") == 1
    assert secure.count("audit", "action = 'session.begin'") == 2


def test_it_ends_with_what_made_it(secure: Any, browse: Any) -> None:
    """A revoked token has no passkeys that work, and a session that one began ends, too."""
    made = secure.post("/api/v1/tokens", {"name": "a viewer"}).json
    viewer, device, browser = browse(secure), Device(), browse(secure)
    viewer.sign_in(made["token"])
    add(viewer, device)
    assert enter(browser, device).status == 303
    secure.post(f"/api/v1/tokens/{made['id']}/revoke", {})

    assert browser.get("/").status == 303
    assert enter(browse(secure), device).status == 403


def test_removing_it_is_enough(secure: Any, admin: Any, browse: Any) -> None:
    """One's own; administrators may remove anybody's, others may not."""
    made = secure.post("/api/v1/tokens", {"name": "a viewer"}).json
    viewer, mine, theirs = browse(secure), Device(), Device()
    viewer.sign_in(made["token"])
    add(admin, mine)
    add(viewer, theirs)
    value = {"form_value": viewer.form_value("/settings")}
    assert viewer.send(f"/settings/passkeys/{text(mine.id)}/remove", value).status == 404
    assert "Passkeys of others" not in viewer.get("/settings").text
    assert "Passkeys of others" in admin.get("/settings").text
    value = {"form_value": admin.form_value("/settings")}
    assert admin.send(f"/settings/passkeys/{text(theirs.id)}/remove", value).status == 303

    assert enter(browse(secure), theirs).status == 403
    assert enter(browse(secure), mine).status == 303


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "https://dashboard.example.org.evil.example"},
        {"origin": "http://dashboard.example.org"},
        {"host": "evil.example"},
        {"flags": PRESENT},
        {"flags": VERIFIED},
        {"key": ec.generate_private_key(ec.SECP256R1())},
        {"id": b"unknown"},
    ],
    ids="-".join,
)
def test_what_does_not_fit_is_refused(secure: Any, admin: Any, browse: Any, change: dict[str, Any]) -> None:
    """Another site, another name, nobody verified, another key: one answer for all, and no session."""
    device = Device()
    add(admin, device)
    sessions = secure.count("sessions")
    for name, value in change.items():
        setattr(device, name, value)

    answer = enter(browse(secure), device)
    assert (403, True) == (answer.status, "not accepted" in answer.text)
    assert secure.count("sessions") == sessions


def test_an_answer_is_good_for_once(secure: Any, admin: Any, browse: Any) -> None:
    """And for ten minutes."""
    device, browser = Device(), browse(secure)
    add(admin, device)
    asked = browser.send("/sign-in/passkey/challenge", {}).json
    fields = {"flow": asked["flow"], "answer": json.dumps(device.get(asked["options"]))}
    assert browser.send("/sign-in/passkey", fields).status == 303
    assert browser.send("/sign-in/passkey", fields).status == 403
    asked = browser.send("/sign-in/passkey/challenge", {}).json
    secure.clock.now += 600
    fields = {"flow": asked["flow"], "answer": json.dumps(device.get(asked["options"]))}
    assert browser.send("/sign-in/passkey", fields).status == 403


def test_a_copied_key_is_noticed_where_devices_count(secure: Any, admin: Any, browse: Any) -> None:
    """The copy comes with a count that was seen already."""
    device = Device(counter=5)
    add(admin, device)
    device.counter = 6
    assert enter(browse(secure), device).status == 303
    answer = enter(browse(secure), device)

    assert (403, True) == (answer.status, "copied" in answer.text)
    assert secure.count("audit", "outcome = 'refused' AND detail LIKE '%counts backwards%'") == 1


def test_one_session_cannot_finish_what_another_began(secure: Any, admin: Any, browse: Any) -> None:
    """A passkey belongs to who asked for it."""
    made = secure.post("/api/v1/tokens", {"name": "a viewer"}).json
    viewer = browse(secure)
    viewer.sign_in(made["token"])
    asked = admin.send("/settings/passkeys/challenge", {"form_value": admin.form_value("/settings")}).json
    fields = {"flow": asked["flow"], "answer": json.dumps(Device().create(asked["options"])), "name": "x"}
    assert viewer.send("/settings/passkeys", {"form_value": viewer.form_value("/settings"), **fields}).status == 403
    assert secure.count("passkeys") == 0


def test_a_passkey_is_registered_once(admin: Any) -> None:
    """And for one owner."""
    device = Device()
    assert add(admin, device).status == 303
    assert add(admin, device).status == 409


@pytest.mark.parametrize("answer", ["", "{}", "[]", "null", '{"id": 1}', '{"id": "AA", "rawId": "AA", "response": {}}'])
def test_an_odd_answer_is_no_answer(admin: Any, answer: str) -> None:
    """Neither for a new passkey nor for signing in."""
    value = admin.form_value("/settings")
    asked = admin.send("/settings/passkeys/challenge", {"form_value": value}).json
    fields = {"form_value": value, "name": "x", "flow": asked["flow"], "answer": answer}
    assert admin.send("/settings/passkeys", fields).status == 400
    assert admin.send("/sign-in/passkey", {"flow": "x", "answer": answer}).status in (400, 403)


def test_a_passkey_has_a_name(admin: Any) -> None:
    """So that one knows which to remove."""
    for name in ("", "  ", "x" * 101, "a\u202eb"):
        assert add(admin, Device(), name).status == 400


def test_another_site_cannot_begin(secure: Any, browse: Any) -> None:
    """Nor sign somebody in with its own passkey."""
    browser = browse(secure)
    for path in ("/sign-in/passkey/challenge", "/sign-in/passkey"):
        assert browser.send(path, {}, {"Sec-Fetch-Site": "cross-site"}).status == 403


def test_without_tls_there_are_none(browser: Any) -> None:
    """Browsers would refuse, and the page says why."""
    assert "passkey" not in browser.get("/sign-in").text.lower()
    assert "must be https" in browser.get("/settings").text
    assert browser.send("/sign-in/passkey/challenge", {}).status == 409
    value = {"form_value": browser.form_value("/settings")}
    assert browser.send("/settings/passkeys/challenge", value).status == 409


def test_there_is_a_limit(admin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody needs more."""
    monkeypatch.setattr("runner_dashboard.identity.passkeys._MOST", 1)
    assert add(admin, Device()).status == 303
    value = {"form_value": admin.form_value("/settings")}
    assert admin.send("/settings/passkeys/challenge", value).status == 409
