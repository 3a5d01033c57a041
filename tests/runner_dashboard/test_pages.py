"""Pages: what they say, when there is nothing to say, and what strangers' names may not do to them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from msgspec.structs import replace

from ec_closure.report import Finding
from runner_dashboard import audit
from runner_dashboard.demo.machine import Machine, Release
from runner_dashboard.web.routes import ROUTES

NOW = 1_790_000_000
ELSEWHERE = {"/sign-in/provider", "/sign-in/callback", "/live"}
"""What sends browsers to another service, or is a stream: no page."""
PAGES = [
    spec.path
    for spec in ROUTES
    if spec.kind == "page" and spec.method == "GET" and "{" not in spec.path and spec.path not in ELSEWHERE
]
VOID = {"meta", "link", "input", "br"}
HOSTILE = "<script>alert(1)</script>\"'>\u202e\x1b[31m{{ 7 * 7 }}"


class Outline(HTMLParser):
    """Checks that elements are closed in the order in which they were opened, and collects what was met."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.met: list[tuple[str, dict[str, str | None]]] = []
        self.written: list[str] = []

    def handle_data(self, data: str) -> None:
        """Note what is written into a script itself."""
        if self.open and self.open[-1] == "script" and data.strip():
            self.written.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.met.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the last one, which must be of this kind."""
        assert tag == self.open.pop()

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of all elements of a kind."""
        return [attributes for name, attributes in self.met if name == tag]


def outline(html: str) -> Outline:
    """Read a page, and hold it to what all pages are held to."""
    found = Outline()
    found.feed(html)
    found.close()
    assert found.open == []
    assert found.written == []
    assert all((one["src"] or "").startswith("/static/") for one in found.of("script"))
    assert not [attributes for _, attributes in found.met if {"style", "onclick", "onload"} & attributes.keys()]
    assert len(found.of("h1")) == 1
    assert [one["lang"] for one in found.of("html")] == ["en"]
    for kind in ("a", "link", "form"):
        for one in found.of(kind):
            target = one.get("href") or one.get("action") or ""
            assert target.startswith(("/", "#")), target
            assert not target.startswith("//")
    for one in found.of("form"):
        assert one["method"] in ("get", "post")
    return found


def report_of(dashboard: Any, machine: Machine, **changes: Any) -> None:
    """Let an enrolled machine report."""
    assert dashboard.send(machine.sign(replace(machine.passed(dashboard.clock.now), **changes))).status == 201


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_whole_when_there_is_nothing_to_show(browser: Any, path: str) -> None:
    """An empty dashboard says what to do next, and shows no number that nobody reported."""
    answer = browser.get(path)

    assert answer.status == 200
    outline(answer.text)


def test_the_first_page_says_how_to_begin(browser: Any) -> None:
    """No tiles of zeros, but what to do."""
    text = browser.get("/").text

    assert "No node is enrolled yet" in text
    assert "tile" not in text


def test_the_overview_counts_what_was_reported(browser: Any, dashboard: Any) -> None:
    """Verdicts, silent nodes, findings, releases."""
    machines = [Machine(f"runner-{number}", Release(number % 2 + 1)) for number in range(4)]
    for machine in machines:
        dashboard.enrol(machine)
    report_of(dashboard, machines[0])
    dashboard.send(machines[1].sign(machines[1].altered(machines[1].passed(NOW), 2, "x")))
    dashboard.clock.now += 172_801
    report_of(dashboard, machines[2])
    browser.sign_in(dashboard.admin)
    text = browser.get("/").text
    outline(text)

    assert re.findall(r"<b>(\d+)</b> ([a-z ]+)<", text) == [
        ("2", "passed"), ("1", "failed"), ("0", "undecided"), ("1", "no report"), ("3", "silent"), ("0", "waiting"),
    ]  # fmt: skip
    assert "EV201" in text
    assert "bytes differ from what CI signed" in text
    assert {"boot-v1", "boot-v2"} <= set(re.findall(r"boot-v\d", text))


def test_a_node_shows_what_it_reported(browser: Any, dashboard: Any, machine: Machine) -> None:
    """Findings with the catalogue's hint, the paths that differ, the timeline, and evidence to take along."""
    dashboard.enrol(machine)
    report_of(dashboard, machine)
    envelope = machine.sign(machine.altered(machine.passed(NOW), 6, "x"))
    dashboard.send(envelope)
    (node,) = dashboard.get("/api/v1/nodes").json["nodes"]
    text = browser.get(f"/nodes/{node['id']}").text
    page = outline(text)

    assert "Take the node out of service" in text
    assert machine.release.paths[6][44:] in text
    digests = [one["digest"] for one in dashboard.get(f"/api/v1/nodes/{node['id']}/reports").json["reports"]]
    assert len(digests) == 2
    (evidence,) = [one["href"] for one in page.of("a") if "download" in one]
    assert evidence == f"/api/v1/reports/{digests[0]}/envelope"
    assert browser.get(str(evidence)).body == envelope
    older = browser.get(f"/nodes/{node['id']}?report={digests[1]}").text
    assert "This report" in older
    assert "Take the node out of service" not in older


def test_a_report_of_another_node_is_not_shown_as_this_ones(browser: Any, dashboard: Any) -> None:
    """The address of one page cannot put words into another node's mouth."""
    machines = [Machine(name, Release(1)) for name in ("one", "two")]
    for machine in machines:
        dashboard.enrol(machine)
        report_of(dashboard, machine)
    one, two = dashboard.get("/api/v1/nodes").json["nodes"]
    (report,) = dashboard.get(f"/api/v1/nodes/{two['id']}/reports").json["reports"]

    assert browser.get(f"/nodes/{one['id']}?report={report['digest']}").status == 404


def test_names_of_strangers_are_text(browser: Any, dashboard: Any) -> None:
    """No markup, no template, no control character: on no page."""
    machine = Machine(HOSTILE, Release(1))
    wrong = Finding(code="EV201", severity="fail", message=HOSTILE, hint=HOSTILE, path=f"/nix/store/{HOSTILE}")
    ticket = dashboard.post("/api/v1/enrolments", {}).json["token"]
    report = replace(machine.passed(NOW), verdict="failed", findings=(wrong,))
    assert dashboard.send(machine.sign(report), token=ticket).status == 201
    stranger = Machine(HOSTILE, Release(1))
    dashboard.send(stranger.sign(stranger.passed(NOW)))
    (node,) = dashboard.get("/api/v1/nodes").json["nodes"]
    for path in [*PAGES, f"/nodes/{node['id']}"]:
        text = browser.get(path).text
        outline(text)
        assert not {"\u202e", "\x1b"} & set(text)
        assert "49" not in re.findall(r"31m([^<]*)", text)


def test_the_list_is_filtered_sorted_and_paged(dashboard: Any, browser: Any) -> None:
    """Pages follow one another without a gap or a repetition, in every order."""
    machines = [Machine(f"runner-{number:02}", Release(number % 3 + 1)) for number in range(25)]
    for machine in machines:
        dashboard.enrol(machine)
        dashboard.clock.now += 1
        report_of(dashboard, machine)
    for sort in ("name", "silent", "recent", "release", "trouble"):
        seen: list[str] = []
        after: str | None = ""
        while after is not None:
            page = dashboard.get(f"/api/v1/nodes?sort={sort}&limit=4&after={after}").json
            seen += [node["name"] for node in page["nodes"]]
            after = page["next"]
        assert sorted(seen) == [machine.name for machine in machines]
        if sort == "recent":
            assert seen == [machine.name for machine in reversed(machines)]
    assert [node["tag"] for node in dashboard.get("/api/v1/nodes?tag=boot-v2").json["nodes"]] == ["boot-v2"] * 8
    assert dashboard.get("/api/v1/nodes?q=runner-0").json["total"] == 10
    assert dashboard.get("/api/v1/nodes?q=%25").json["total"] == 0
    assert dashboard.get("/api/v1/nodes?verdict=failed").json["total"] == 0
    assert "No node matches" in browser.get("/nodes?q=absent").text
    assert "Next page" not in browser.get("/nodes").text


@pytest.mark.parametrize(
    "query",
    ["sort=size", "limit=0", "limit=999", "limit=x", "state=gone", "after=nonsense", "after=W10=", "after=WyJhIl0=",
     "after=W1siYSJdLCJiIl0=", "sort=recent&after=WyJhIiwiYiJd", "silent=no", "verdict=fine", "limit=%D9%A3"],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused(dashboard: Any, query: str) -> None:
    """With 400 and a word that says why, never by a guess."""
    answer = dashboard.get(f"/api/v1/nodes?{query}")

    assert (400, "malformed") == (answer.status, answer.code)


def test_outliers_are_found_without_any_rebuild(dashboard: Any, browser: Any) -> None:
    """Same release, same path, other bytes: who, and how many agree."""
    machines = [Machine(f"runner-{number}", Release(1)) for number in range(6)]
    for machine in machines:
        dashboard.enrol(machine)
    for machine in machines[:4]:
        report_of(dashboard, machine)
    for machine, seed in zip(machines[4:], ("x", "y"), strict=True):
        dashboard.send(machine.sign(machine.altered(machine.passed(NOW), 6, seed)))
    found = dashboard.get("/api/v1/outliers").json

    (path,) = found["paths"]
    assert (path["kind"], path["peers"]) == ("disk", 6)
    assert [["runner-4"], ["runner-5"]] == sorted([node["name"] for node in one["nodes"]] for one in path["others"])
    (divided,) = found["divided"]
    assert [4, 1, 1] == [group["count"] for group in divided["groups"]]
    text = browser.get("/outliers").text
    outline(text)
    assert "2 of 6" in text


@pytest.mark.parametrize(("code", "word"), [("EV201", "not hashed"), ("EV202", "missing")])
def test_a_path_without_a_hash_is_an_outlier_too(
    dashboard: Any, browser: Any, machine: Machine, code: str, word: str
) -> None:
    """A path that is gone, or too large to be read to its end, has no hash that could differ."""
    dashboard.enrol(machine)
    path = machine.release.paths[3]
    wrong = Finding(code=code, severity="fail", message="x", hint="y", path=path)
    report_of(dashboard, machine, verdict="failed", findings=(wrong,))

    (outlier,) = dashboard.get("/api/v1/outliers").json["paths"]
    assert (outlier["path"], [word]) == (path, [group["value"] for group in outlier["others"]])
    assert word in browser.get("/outliers").text


def test_nodes_are_enrolled_on_the_page(browser: Any, dashboard: Any, machine: Machine) -> None:
    """Approved with the key in view, by key, by a one-time token that is shown once; retired when that is meant."""
    envelope = machine.sign(machine.passed(NOW))
    dashboard.send(envelope)
    page = browser.get("/enrolment").text
    assert "MCowBQYDK2VwAyEA" in page
    value = browser.form_value("/enrolment")
    (node,) = dashboard.get("/api/v1/nodes?state=pending").json["nodes"]
    assert browser.send(f"/nodes/{node['id']}/approve", {"form_value": value, "name": "ours"}).status == 303
    assert dashboard.send(envelope).status == 201
    assert "ours" in browser.get("/nodes").text
    assert browser.send(f"/nodes/{node['id']}/approve", {"form_value": value}).status == 409

    made = browser.send("/enrolment/tickets", {"form_value": value, "name": "", "days": "3"}).text
    outline(made)
    (token,) = re.findall(r"ece_\w{16}_[\w-]{43}", made)
    assert token not in browser.get("/enrolment").text

    assert browser.send(f"/nodes/{node['id']}/retire", {"form_value": value}).status == 400
    assert browser.send(f"/nodes/{node['id']}/retire", {"form_value": value, "sure": "yes"}).status == 303
    assert dashboard.send(envelope).code == "node.retired"


@pytest.mark.parametrize("as_pem", [True, False])
def test_a_key_is_taken_as_the_node_prints_it(browser: Any, dashboard: Any, machine: Machine, *, as_pem: bool) -> None:
    """PEM, or the bare key of `ec-verify key --json`; anything else is refused."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    loaded = Ed25519PublicKey.from_public_bytes(bytes.fromhex(machine.public_key))
    pem = loaded.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    value = browser.form_value("/enrolment")
    fields = {"form_value": value, "name": "by key", "key": pem if as_pem else machine.public_key}

    assert browser.send("/enrolment/nodes", {**fields, "key": "nonsense"}).status == 400
    assert browser.send("/enrolment/nodes", fields).status == 303
    assert browser.send("/enrolment/nodes", fields).status == 409
    assert dashboard.send(machine.sign(machine.passed(NOW))).status == 201


def test_what_was_done_is_in_the_audit(browser: Any, dashboard: Any) -> None:
    """Changes with who made them, refusals with their number, no secrets."""
    made = dashboard.post("/api/v1/tokens", {"name": "for CI"}).json
    for _ in range(3):
        dashboard.ask("GET", "/api/v1/overview", token="ecd_nonsense")  # noqa: S106 - none
    text = browser.get("/audit").text
    outline(text)

    assert "token.create" in text
    assert "viewer for CI" in text
    assert "3 times" in text
    assert dashboard.ask("GET", "/api/v1/audit", token=made["token"]).status == 403
    assert dashboard.count("audit", "outcome = 'refused' AND actor = 'for CI' AND action = 'GET /api/v1/audit'") == 1
    assert made["token"].split("_", 2)[2] not in text


def test_refusals_cannot_fill_the_disk(dashboard: Any) -> None:
    """Beyond a number in a minute they are counted, not listed."""

    def refuse(connection: Any) -> None:
        for number in range(130):
            audit.refused(connection, NOW, actor=f"address {number}", action="GET /x", subject="", detail="401")

    dashboard.services.database.write(refuse)

    assert dashboard.count("audit", "outcome = 'refused'") == 101
    assert dashboard.count("audit", "actor = 'many' AND times = 30") == 1


def test_the_style_sheet_is_cached_by_its_content(browser: Any) -> None:
    """Another version has another address."""
    page = outline(browser.get("/").text)
    (sheet,) = [one["href"] for one in page.of("link") if one["rel"] == "stylesheet"]
    answer = browser.get(str(sheet))

    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/css")
    assert "prefers-color-scheme: dark" in answer.text
    assert "url(" not in answer.text
