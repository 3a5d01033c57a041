"""The textfile, read by a parser that takes nothing but OpenMetrics."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure.policy import LEVELS
from ec_closure.report import Cause, Finding, Freshness, LeftOut, Listed, Reading, Report, VerifierIdentity
from ec_verify.report.metrics import render

if TYPE_CHECKING:
    from tests.ec_verify.conftest import Node

    from ec_closure.findings import Severity

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>[^{}]*)\})? (?P<value>-?[0-9]+(?:\.[0-9]+)?)")
LABEL = re.compile(r'(?P<name>[a-zA-Z_][a-zA-Z0-9_]*)="(?P<value>(?:[^"\\\n]|\\["\\n])*)"')

WEIGHTS: tuple[Severity, ...] = ("fail", "warn", "warn")


@dataclass
class Family:
    """One metric family: its descriptors, and its samples by labels."""

    descriptors: dict[str, str] = field(default_factory=dict)
    samples: dict[tuple[tuple[str, str], ...], float] = field(default_factory=dict)


def parse(text: str) -> dict[str, Family]:
    """Parse OpenMetrics 1.0 text strictly, as far as gauges go. Raises ValueError."""
    if not text.endswith("\n# EOF\n") and text != "# EOF\n":
        raise ValueError("it does not end with # EOF and one line feed")
    found: dict[str, Family] = {}
    current = ""
    for line in text.removesuffix("# EOF\n").splitlines():
        if line.startswith("# "):
            _, kind, name, value = line.split(" ", 3)
            if kind not in ("TYPE", "HELP", "UNIT") or not NAME.fullmatch(name):
                raise ValueError(f"no descriptor: {line}")
            if name != current:
                if name in found:
                    raise ValueError(f"the family {name} is interrupted")
                found[name] = Family()
                current = name
            if found[name].samples or kind in found[name].descriptors:
                raise ValueError(f"a descriptor comes late or twice: {line}")
            found[name].descriptors[kind] = value
            continue
        sample = SAMPLE.fullmatch(line)
        if sample is None or sample["name"] != current:
            raise ValueError(f"no sample of {current}: {line}")
        labels = tuple(_labels(sample["labels"])) if sample["labels"] is not None else ()
        if labels in found[current].samples:
            raise ValueError(f"the sample {line} comes twice")
        found[current].samples[labels] = float(sample["value"])
    return found


def _labels(text: str) -> list[tuple[str, str]]:
    found = []
    for part in text.split(","):
        label = LABEL.fullmatch(part)
        if label is None:
            raise ValueError(f"no label: {part}")
        found.append((label["name"], label["value"]))
    return found


def a_report(**changes: object) -> Report:
    """Return a report that passed."""
    given: dict[str, object] = {
        "verifier": VerifierIdentity(version="0.1.0"),
        "node": "node-1",
        "policy_digest": "0" * 64,
        "config_digest": "0" * 64,
        "toplevel": "/nix/store/x",
        "level_asked": "source",
        "level_reached": "bytes",
        "verdict": "undecided",
        "counts": {"matches": 3, "corrupt": 1},
        "unlisted": Listed(count=7),
        "extra": Listed(count=8),
        "findings": tuple(Finding(code="EV201", severity=severity, message="x", hint="y") for severity in WEIGHTS),
        "freshness": Freshness(lag=2, latest_version=9, metadata_age=3600),
        "reading": Reading(read=10, unchanged=30, oldest_age=500, rebuilt_before=4, oldest_rebuild_age=600),
        "started": 1000,
        "finished": 1060,
        "reference_time": 1000,
    }
    return Report(**(given | changes))  # type: ignore[arg-type] # a table of changes


def only(family: Family) -> float:
    """Return the value of a family's one sample without labels."""
    assert {()} == family.samples.keys()
    return family.samples[()]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# EOF",
        "x 1\n# EOF\n",
        "# TYPE x gauge\ny 1\n# EOF\n",
        "# TYPE x gauge\nx 1\nx 2\n# EOF\n",
        "# TYPE x gauge\nx 1\n# HELP x late\n# EOF\n",
        '# TYPE x gauge\nx{a="b" 1\n# EOF\n',
        "# TYPE x gauge\nx one\n# EOF\n",
    ],
)
def test_the_parser_refuses_what_is_no_openmetrics(text: str) -> None:
    """A lenient parser would prove nothing."""
    with pytest.raises(ValueError, match=r".*"):
        parse(text)


def test_findings_that_are_not_listed_are_counted() -> None:
    """And causes beside them: an alarm on a number must not depend on what fits into a report."""
    cause = Cause(code="EV201", severity="fail", title="t", message="m", hint="h", count=5000)
    report = a_report(causes=(cause,), left_out=(LeftOut(code="EV201", severity="fail", count=4000),))

    found = parse(render(report))

    numbers = [
        {dict(labels)["severity"]: value for labels, value in found[name].samples.items()}
        for name in ("ec_verify_findings", "ec_verify_causes")
    ]
    assert [{"fail": 4001, "warn": 2, "info": 0}, {"fail": 1, "warn": 0, "info": 0}] == numbers


def test_each_number_of_a_report_is_there() -> None:
    """Verdict, levels, paths, findings, times and freshness."""
    found = parse(render(a_report()))

    assert {"gauge"} == {family.descriptors["TYPE"] for family in found.values()}
    assert all(family.descriptors["HELP"] for family in found.values())
    assert {"passed": 0, "failed": 0, "undecided": 1} == {
        dict(labels)["verdict"]: value for labels, value in found["ec_verify_verdict"].samples.items()
    }
    assert {"matches": 3, "corrupt": 1} == {
        dict(labels)["verdict"]: value for labels, value in found["ec_verify_paths"].samples.items()
    }
    assert {"fail": 1, "warn": 2, "info": 0} == {
        dict(labels)["severity"]: value for labels, value in found["ec_verify_findings"].samples.items()
    }
    assert {
        "level_reached": 1,
        "level_asked": 2,
        "unlisted_paths": 7,
        "extra_entries": 8,
        "last_run_timestamp_seconds": 1060,
        "duration_seconds": 60,
        "release_lag": 2,
        "metadata_age_seconds": 3600,
        "paths_read": 10,
        "paths_unchanged": 30,
        "read_ratio": 0.25,
        "oldest_read_seconds": 500,
        "rebuilt_before": 4,
        "oldest_rebuild_seconds": 600,
    } == {
        name.removeprefix("ec_verify_"): only(family)
        for name, family in found.items()
        if name not in ("ec_verify_verdict", "ec_verify_paths", "ec_verify_findings", "ec_verify_causes")
    }


def test_what_is_not_known_is_not_there() -> None:
    """No number is better than a wrong one; no level is level 0."""
    found = parse(render(a_report(freshness=Freshness(), level_reached=None, counts={})))

    assert not {"ec_verify_release_lag", "ec_verify_metadata_age_seconds"} & found.keys()
    assert (0, {}) == (only(found["ec_verify_level_reached"]), found["ec_verify_paths"].samples)


@given(
    verdict=st.sampled_from(["passed", "failed", "undecided"]),
    reached=st.none() | st.sampled_from(LEVELS),
    counts=st.dictionaries(st.sampled_from(["matches", "corrupt", "unchecked"]), st.integers(0, 2**53)),
    finished=st.integers(0, 2**53),
    lag=st.none() | st.integers(0, 2**53),
)
def test_every_report_renders(
    verdict: str, reached: str | None, counts: dict[str, int], finished: int, lag: int | None
) -> None:
    """Whatever the numbers are."""
    made = a_report(
        verdict=verdict, level_reached=reached, counts=counts, finished=finished, freshness=Freshness(lag=lag)
    )

    assert 1 == sum(parse(render(made))["ec_verify_verdict"].samples.values())


@pytest.mark.nix
def test_a_run_writes_the_textfile_for_everybody(node: Node) -> None:
    """Node exporters run as somebody else; a half-written file is never seen."""
    file = node.directory / "metrics" / "ec_verify.prom"
    node.tables["report"] = {"textfile": str(file)}
    node.run("run")

    assert 1 == parse(file.read_text())["ec_verify_verdict"].samples[(("verdict", "passed"),)]
    assert (0o644, [file]) == (file.stat().st_mode & 0o777, list(file.parent.iterdir()))
