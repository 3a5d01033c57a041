"""What the release gate said of a repository is shown as it said it, with who brought it and when."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ec_closure.release_gate import AuthorityResult, Evidence, Finding, GateResult, Judgement, Published
from ec_release import main

HOSTILE = "<script>alert(1)</script>"


def answer(*, passed: bool = True) -> bytes:
    """Return an answer of the gate about a repository that is, or is not, as it declares."""
    import msgspec

    wrong = Finding(code="RA101", severity="fail", file=HOSTILE, line=7, message=f"two can write {HOSTILE}")
    gate = GateResult(
        gate="source-of-truth", met=passed, evidence=(Evidence(met=passed, says="the declaration names one", line=3),)
    )
    return msgspec.json.encode(
        Judgement(
            passed=passed,
            authority="dockerfile-image",
            repository="ghcr.io/{owner}/runner-dashboard",
            publications=(
                Published(
                    kind="image", target=HOSTILE, source="app/Dockerfile", tool="ec-release image-promote",
                    workflow="release.yml", job="image", file=".github/workflows/release.yml", line=4,
                ),
            ),
            authorities=(AuthorityResult(name="dockerfile-image", current=True, met=passed, gates=(gate,)),),
            findings=() if passed else (wrong,),
        )
    )  # fmt: skip


def bring(dashboard: Any, body: bytes, revision: str = "0123abc", media_type: str = "application/json") -> Any:
    """Bring an answer, as the administrator."""
    path = f"/api/v1/authority?revision={revision}" if revision else "/api/v1/authority"
    return dashboard.ask("POST", path, body, token=dashboard.admin, headers={"Content-Type": media_type})


def test_the_newest_answer_is_shown_and_those_before_it_are_listed(dashboard: Any, browser: Any) -> None:
    """Passed or failed; what strangers wrote in the repository is text."""
    assert "has not spoken yet" in browser.get("/authority").text
    assert bring(dashboard, answer(), "first").status == 201
    dashboard.clock.now += 60
    assert bring(dashboard, answer(passed=False), "second").status == 201
    text = browser.get("/authority").text

    assert HOSTILE not in text
    assert "RA101" in text
    assert "not met" in text
    assert text.index("second") < text.index("first")
    found = dashboard.get("/api/v1/authority").json
    assert found["newest"]["judgement"] == json.loads(answer(passed=False))
    assert [(one["revision"], one["passed"]) for one in found["history"]] == [("first", True)]
    assert dashboard.count("audit", "action = 'authority.judged'") == 2


@pytest.mark.parametrize(
    ("body", "revision", "media_type", "status"),
    [
        (b"{}", "x", "application/json", 400),
        (b"nonsense", "x", "application/json", 400),
        (answer(), "", "application/json", 400),
        (answer(), "x" * 201, "application/json", 400),
        (answer(), "x", "text/plain", 415),
        (b" " * ((4 << 20) + 1), "x", "application/json", 413),
    ],
)
def test_what_is_no_answer_is_refused(dashboard: Any, body: bytes, revision: str, media_type: str, status: int) -> None:
    """And nothing is kept of it."""
    assert bring(dashboard, body, revision, media_type).status == status
    assert dashboard.get("/api/v1/authority").json == {"newest": None, "history": []}


def test_a_hundred_answers_are_kept(dashboard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go."""
    monkeypatch.setattr("runner_dashboard.fleet.authority._KEPT", 2)
    for name in ("one", "two", "three"):
        assert bring(dashboard, answer(), name).status == 201
    found = dashboard.get("/api/v1/authority").json

    assert found["newest"]["revision"] == "three"
    assert [one["revision"] for one in found["history"]] == ["two"]


def test_the_gate_of_this_repository_is_understood(dashboard: Any, browser: Any, capsys: Any) -> None:
    """What `ec-release gate --json` really prints."""
    root = Path(__file__).parents[2]
    main.run(["gate", "--root", str(root), "--json"])
    printed = capsys.readouterr().out.encode()

    assert bring(dashboard, printed).status == 201
    assert "dockerfile-image" in browser.get("/authority").text
