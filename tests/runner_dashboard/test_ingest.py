"""Reports as docs/report-api.md has them, and every way in which they may be wrong."""

from __future__ import annotations

import base64
import http.client
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from securesystemslib.signer import CryptoSigner

from ec_closure import dsse, intoto
from runner_dashboard.config import IngestTable
from runner_dashboard.demo.machine import Machine, Release
from runner_dashboard.ingest import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from ec_closure.report import Report

NOW = 1_790_000_000
MEDIA_TYPE = "application/vnd.dsse.envelope+json"


def edited(envelope: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return the envelope after *change* was made to it."""
    document = json.loads(envelope)
    change(document)
    return json.dumps(document).encode()


def fresh(dashboard: Any, machine: Machine) -> Report:
    """Return the next report of *machine*, with a nonce."""
    return replace(machine.passed(NOW), nonce=dashboard.nonce())


class TestTaken:
    """What is accepted, and what is kept of it."""

    def test_a_report_with_a_nonce_is_fresh(self, dashboard: Any, machine: Machine) -> None:
        """It is answered with its digest, and its envelope is kept as it came."""
        dashboard.enrol(machine)
        envelope = machine.sign(fresh(dashboard, machine))

        answer = dashboard.send(envelope)

        assert answer.status == 201
        assert (answer.json["late"], answer.json["before"]) == (False, False)
        with dashboard.services.database.read() as connection:
            kept, size = connection.exec_driver_sql("SELECT envelope, size FROM evidence").one()
        assert envelope == rows.unpacked(kept, size)

    def test_a_report_without_a_nonce_is_late_and_taken_once(self, dashboard: Any, machine: Machine) -> None:
        """The second time it is known."""
        dashboard.enrol(machine)
        envelope = machine.sign(machine.passed(NOW))

        first, second = dashboard.send(envelope), dashboard.send(envelope)

        assert (first.status, first.json["late"]) == (201, True)
        assert (second.status, second.json["before"]) == (208, True)
        assert dashboard.count("reports") == 1

    def test_a_report_in_another_spelling_is_the_same_report(self, dashboard: Any, machine: Machine) -> None:
        """What counts is what was signed, not the white space of its envelope."""
        dashboard.enrol(machine)
        envelope = machine.sign(machine.passed(NOW))
        dashboard.send(envelope)

        assert dashboard.send(edited(envelope, lambda _: None)).status == 208

    def test_the_rows_say_what_the_report_says(self, dashboard: Any, machine: Machine) -> None:
        """Findings and differing paths can be asked for, and the node's row repeats its newest report."""
        dashboard.enrol(machine)
        dashboard.send(machine.sign(machine.altered(machine.passed(NOW), 3, "other bytes")))

        assert dashboard.count("findings", "code = 'EV201' AND severity = 'fail'") == 1
        assert dashboard.count("differing", "kind = 'disk'") == 1
        assert dashboard.count("nodes", "verdict = 'failed' AND fails = 1 AND tag = 'boot-v1'") == 1

    def test_a_late_report_does_not_hide_a_newer_one(self, dashboard: Any, machine: Machine) -> None:
        """The node's row repeats the report with the highest counter, whatever comes last."""
        dashboard.enrol(machine)
        older = machine.altered(machine.passed(NOW), 3, "other bytes")
        newer = machine.passed(NOW)

        assert [dashboard.send(machine.sign(one)).status for one in (newer, older)] == [201, 201]
        assert dashboard.count("nodes", "verdict = 'passed' AND counter = 2") == 1

    def test_an_older_verifier_names_its_key_by_identifier(self, dashboard: Any, machine: Machine) -> None:
        """The identifier is a hint; the key that it leads to must have signed."""
        dashboard.enrol(machine)

        assert dashboard.send(machine.sign(machine.passed(NOW), introduce=False)).status == 201

    def test_a_nonce_that_ran_out_makes_a_report_late(self, dashboard: Any, machine: Machine) -> None:
        """It waited in the spool: that is no attack."""
        dashboard.enrol(machine)
        report = fresh(dashboard, machine)
        dashboard.clock.now += 200_000

        answer = dashboard.send(machine.sign(report))

        assert (answer.status, answer.json["late"]) == (201, True)

    def test_a_nonce_of_somebody_else_makes_a_report_late(self, dashboard: Any, machine: Machine) -> None:
        """A nonce is bound to the token that it was asked with."""
        dashboard.enrol(machine)
        report = replace(machine.passed(NOW), nonce=dashboard.nonce("one token"))

        assert dashboard.send(machine.sign(report), token="another token").json["late"] is True  # noqa: S106 - none

    def test_nonces_outlive_the_key_that_signed_them(self, serve: Callable[..., Any], machine: Machine) -> None:
        """A key that was replaced is accepted for as long as its nonces are good."""
        with serve(ingest=IngestTable(nonce_lifetime=2_592_000)) as dashboard:
            dashboard.enrol(machine)
            report = fresh(dashboard, machine)
            dashboard.clock.now += 2_592_000
            other = dashboard.nonce()

            assert dashboard.count("signing_keys") == 2
            assert dashboard.send(machine.sign(report)).json["late"] is False
            assert other != report.nonce


class TestEnrolment:
    """How a key becomes a node."""

    def test_a_stranger_waits_for_approval(self, dashboard: Any, machine: Machine) -> None:
        """Its report is not kept, and the answer lets it try again later."""
        answer = dashboard.send(machine.sign(machine.passed(NOW)))

        assert (answer.status, answer.code) == (403, "node.pending")
        assert dashboard.count("nodes", "state = 'pending' AND name = 'runner-1'") == 1
        assert dashboard.count("reports") == 0

    def test_a_one_time_token_enrols_one_node(self, dashboard: Any, machine: Machine) -> None:
        """The report that brings it is taken; a second machine with the same token waits."""
        ticket = dashboard.post("/api/v1/enrolments", {"name": "the first"}).json["token"]
        second = Machine("runner-2", Release(1))

        assert dashboard.send(machine.sign(machine.passed(NOW)), token=ticket).status == 201
        assert dashboard.count("nodes", "state = 'enrolled' AND name = 'the first'") == 1
        assert dashboard.send(second.sign(second.passed(NOW)), token=ticket).code == "node.pending"
        assert dashboard.send(machine.sign(machine.passed(NOW)), token=ticket).status == 201

    def test_a_one_time_token_ends(self, dashboard: Any, machine: Machine) -> None:
        """After its day it enrols nobody."""
        ticket = dashboard.post("/api/v1/enrolments", {"days": 1}).json["token"]
        dashboard.clock.now += 86_400

        assert dashboard.send(machine.sign(machine.passed(NOW)), token=ticket).code == "node.pending"

    def test_strangers_cannot_fill_the_disk(self, serve: Callable[..., Any]) -> None:
        """No more wait than are allowed to; an operator's token still enrols."""
        with serve(ingest=IngestTable(pending=2)) as dashboard:
            for number in range(4):
                stranger = Machine(f"stranger-{number}", Release(1))
                assert dashboard.send(stranger.sign(stranger.passed(NOW))).status == 403
            invited = Machine("invited", Release(1))
            ticket = dashboard.post("/api/v1/enrolments", {}).json["token"]

            assert dashboard.count("nodes") == 2
            assert dashboard.send(invited.sign(invited.passed(NOW)), token=ticket).status == 201

    def test_a_retired_key_does_not_come_back(self, dashboard: Any, machine: Machine) -> None:
        """Also with a one-time token."""
        dashboard.enrol(machine)
        (node,) = [one["id"] for one in dashboard.get("/api/v1/nodes").json["nodes"]]
        assert dashboard.post(f"/api/v1/nodes/{node}/retire", {}).status == 200
        ticket = dashboard.post("/api/v1/enrolments", {}).json["token"]

        assert dashboard.send(machine.sign(machine.passed(NOW)), token=ticket).code == "node.retired"


class TestRefused:
    """Attacks: each with its status, and written down."""

    def refused(self, dashboard: Any, envelope: bytes, status: int, code: str, **options: Any) -> None:
        """Send *envelope* and see that it is refused, kept nowhere, and audited."""
        answer = dashboard.send(envelope, **options)

        assert (status, code) == (answer.status, answer.code)
        assert dashboard.count("audit", f"outcome = 'refused' AND detail LIKE '{status} {code}%'") == 1

    def test_an_altered_report(self, dashboard: Any, machine: Machine) -> None:
        """The signature is over the bytes."""
        dashboard.enrol(machine)

        def alter(document: dict[str, Any]) -> None:
            payload = base64.b64decode(document["payload"]).replace(b'"passed"', b'"failed"')
            document["payload"] = base64.b64encode(payload).decode()

        self.refused(dashboard, edited(machine.sign(machine.passed(NOW)), alter), 422, "report.signature")
        assert dashboard.count("reports") == 0

    def test_a_report_signed_by_another_key(self, dashboard: Any, machine: Machine) -> None:
        """Naming a node's key is not having it."""
        dashboard.enrol(machine)
        thief = Machine("thief", Release(1))

        def name(document: dict[str, Any]) -> None:
            document["signatures"][0] |= {"keyid": machine.signer.public_key.keyid, "publicKey": machine.public_key}

        self.refused(dashboard, edited(thief.sign(thief.passed(NOW)), name), 422, "report.signature")

    def test_a_report_of_nobody_in_particular(self, dashboard: Any, machine: Machine) -> None:
        """Without a key that is known or named there is nobody to ask."""
        self.refused(dashboard, machine.sign(machine.passed(NOW), introduce=False), 403, "node.unknown")

    def test_a_key_that_is_no_point(self, dashboard: Any, machine: Machine) -> None:
        """Bytes that are no public key verify nothing."""
        machine_envelope = machine.sign(machine.passed(NOW))
        bad = edited(machine_envelope, lambda document: document["signatures"][0].update(publicKey="f" * 64))

        self.refused(dashboard, bad, 422, "report.signature")

    def test_another_report_under_the_same_numbers(self, dashboard: Any, machine: Machine) -> None:
        """Refused, and kept as a suspicion: the key is in use twice."""
        dashboard.enrol(machine)
        first = machine.passed(NOW)
        dashboard.send(machine.sign(first))

        self.refused(dashboard, machine.sign(replace(first, finished=NOW + 1)), 409, "report.replayed")
        assert dashboard.count("suspicions", "code = 'RD002'") == 1

    def test_a_nonce_that_was_used(self, dashboard: Any, machine: Machine) -> None:
        """Each is good for one report."""
        dashboard.enrol(machine)
        first = fresh(dashboard, machine)
        dashboard.send(machine.sign(first))

        self.refused(dashboard, machine.sign(replace(machine.passed(NOW), nonce=first.nonce)), 422, "report.nonce")

    @pytest.mark.parametrize("nonce", ["n" * 16, "A" * 96, "ä" * 20])
    def test_a_nonce_that_was_never_handed_out(self, dashboard: Any, machine: Machine, nonce: str) -> None:
        """The dashboard knows its own."""
        dashboard.enrol(machine)

        self.refused(dashboard, machine.sign(replace(machine.passed(NOW), nonce=nonce)), 422, "report.nonce")

    def test_a_report_that_contradicts_itself(self, dashboard: Any, machine: Machine) -> None:
        """A signature does not make it true."""
        dashboard.enrol(machine)

        self.refused(dashboard, machine.sign(replace(machine.passed(NOW), counts={})), 400, "malformed")

    def test_another_statement_of_the_same_key(self, dashboard: Any, machine: Machine) -> None:
        """A verification summary is no report."""
        dashboard.enrol(machine)
        other = intoto.Statement(
            subject=(intoto.Subject(name="x", digest={"sha256": "0"}),), predicate_type="https://x", predicate={}
        )
        envelope = dsse.sign(intoto.encode(other), intoto.PAYLOAD_TYPE, [machine.signer], introduce=True)

        self.refused(dashboard, envelope, 400, "malformed")

    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b"null", b"[]", b"{}", b"\xff", b'{"payload": "", "payloadType": "x", "signatures": [{}]}'],
    )
    def test_what_is_no_envelope(self, dashboard: Any, body: bytes) -> None:
        """Whatever the bytes, the answer is ours."""
        self.refused(dashboard, body, 400, "malformed")

    def test_deep_nesting(self, dashboard: Any) -> None:
        """No recursion on input."""
        self.refused(dashboard, b"[" * 100_000, 400, "malformed")

    def test_a_truncated_envelope(self, dashboard: Any, machine: Machine) -> None:
        """Half of one is none."""
        dashboard.enrol(machine)
        envelope = machine.sign(machine.passed(NOW))

        self.refused(dashboard, envelope[: len(envelope) // 2], 400, "malformed")

    def test_another_media_type(self, dashboard: Any) -> None:
        """It is refused before it is read."""
        self.refused(dashboard, b"{}", 415, "media-type", media_type="application/json")

    def test_too_many_bytes_are_refused_before_they_are_sent(self, dashboard: Any) -> None:
        """The announced length is enough."""
        connection = http.client.HTTPConnection("127.0.0.1", dashboard.port, timeout=30)
        connection.putrequest("POST", "/api/v1/reports")
        connection.putheader("Content-Type", "application/vnd.dsse.envelope+json")
        connection.putheader("Content-Length", str(1 << 40))
        connection.endheaders()
        status = connection.getresponse().status
        connection.close()

        assert 413 == status

    def test_too_many_bytes_without_a_length(self, dashboard: Any) -> None:
        """Chunks are counted as they come."""
        connection = http.client.HTTPConnection("127.0.0.1", dashboard.port, timeout=30)
        connection.request(
            "POST",
            "/api/v1/reports",
            body=(b"x" * 65536 for _ in range(17)),
            headers={"Content-Type": "application/vnd.dsse.envelope+json"},
            encode_chunked=True,
        )
        status = connection.getresponse().status
        connection.close()

        assert 413 == status

    def test_a_body_that_ends_too_early(self, dashboard: Any, machine: Machine) -> None:
        """Who hangs up has sent nothing, takes no room, and is no mistake of ours."""
        dashboard.enrol(machine)
        free = dashboard.services.room._free
        head = (
            f"POST /api/v1/reports HTTP/1.1\r\nHost: x\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: 100000\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", dashboard.port), timeout=30) as connection:
            connection.sendall(head.encode() + machine.sign(machine.passed(NOW))[:500])
            connection.shutdown(socket.SHUT_WR)
            answered = connection.recv(100)
        assert dashboard.send(machine.sign(machine.passed(NOW))).status == 201

        assert b" 500 " not in answered
        assert dashboard.services.room._free == free
        codes = dashboard.services.counters.snapshot("reports")
        assert "internal" not in str(codes)

    def test_one_node_cannot_drown_the_others(self, serve: Callable[..., Any], machine: Machine) -> None:
        """Beyond its rate it is asked to come back later, and others are served."""
        with serve(ingest=IngestTable(burst=3, reports_per_minute=60)) as dashboard:
            other = Machine("runner-2", Release(1))
            for one in (machine, other):
                dashboard.enrol(one)
            answers = [dashboard.send(machine.sign(machine.passed(NOW))) for _ in range(4)]

            assert [201, 201, 201, 429] == [answer.status for answer in answers]
            assert answers[-1].headers["retry-after"]
            assert dashboard.send(other.sign(other.passed(NOW))).status == 201
            dashboard.clock.now += 1
            assert dashboard.send(machine.sign(machine.passed(NOW))).status == 201


class TestClones:
    """One key on two machines."""

    def reported(self, dashboard: Any, machine: Machine, order: list[tuple[str, int]]) -> int:
        """Send reports of boots and counters in *order*, and return how many clones are suspected."""
        dashboard.enrol(machine)
        for boot, counter in order:
            report = replace(machine.passed(NOW), boot_id=boot * 32, counter=counter)
            assert dashboard.send(machine.sign(report)).status == 201
        return int(dashboard.count("suspicions", "code = 'RD001'"))

    @pytest.mark.parametrize(
        "order",
        [
            [("a", 1), ("b", 2), ("a", 3)],
            [("a", 1), ("a", 3), ("b", 2)],
            [("a", 5), ("b", 5)],
            [("b", 2), ("a", 3), ("a", 1)],
        ],
    )
    def test_two_boots_at_once_are_two_machines(
        self, dashboard: Any, machine: Machine, order: list[tuple[str, int]]
    ) -> None:
        """Their numbers mix, in whatever order they arrive."""
        assert self.reported(dashboard, machine, order) == 1

    @pytest.mark.parametrize(
        "order",
        [
            [("a", 1), ("a", 2), ("b", 3), ("b", 4), ("c", 5)],
            [("b", 3), ("a", 1), ("a", 2), ("c", 9), ("b", 4)],
            [("a", 1), ("b", 3), ("a", 2)],
        ],
    )
    def test_one_machine_that_boots_again_is_one(
        self, dashboard: Any, machine: Machine, order: list[tuple[str, int]]
    ) -> None:
        """Also when late reports arrive after newer ones."""
        assert self.reported(dashboard, machine, order) == 0


def test_every_key_is_asked_for_itself(dashboard: Any) -> None:
    """A crowd of signatures of strangers does not keep a node from being recognised."""
    machine = Machine("runner-1", Release(1))
    dashboard.enrol(machine)
    envelope = machine.sign(machine.passed(NOW))
    noise = json.loads(machine.sign(machine.passed(NOW)))["signatures"][0]
    strangers = [
        {**noise, "keyid": one.public_key.keyid, "publicKey": one.public_key.keyval["public"]}
        for one in [CryptoSigner.generate_ed25519() for _ in range(5)]
    ]

    def crowd(document: dict[str, Any]) -> None:
        document["signatures"] = strangers + document["signatures"]

    assert dashboard.send(edited(envelope, crowd)).status == 201
