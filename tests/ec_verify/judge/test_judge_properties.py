"""What holds of the judge whatever it is given."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner

from ec_closure import dsse, intoto, report
from ec_closure.policy import LEVELS, NO_RULES
from ec_verify.config import Config, Settings
from ec_verify.judge import judge
from ec_verify.model import Problem
from ec_verify.observe.mounts import Mount
from ec_verify.report import build
from ec_verify.run import Outcome
from ec_verify.scan.entries import Entry
from ec_verify.scan.metadata import Anomaly

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_verify.conftest import Names, Scene

    from ec_verify.judge import Case

EVIL = "/nix/store/" + "0" * 32 + "-evil"


def _look(case: Case, path: str, **changes: Any) -> Case:
    seen = case.observation.paths.get(path)
    if seen is None:
        return case
    observation = replace(case.observation, paths=case.observation.paths | {path: replace(seen, **changes)})
    return replace(case, observation=observation)


def _observe(case: Case, **changes: Any) -> Case:
    return replace(case, observation=replace(case.observation, **changes))


def _without(case: Case, path: str, what: str) -> Case:
    left = {other: value for other, value in getattr(case.observation, what).items() if other != path}
    return _observe(case, **{what: left})


def _trust(case: Case, **changes: Any) -> Case:
    return replace(case, trust=replace(case.trust, **changes))


DAMAGES: dict[str, Callable[[Case, str], Case]] = {
    "altered bytes": lambda case, path: _look(case, path, nar_hash="sha256-" + "A" * 43 + "="),
    "removed": lambda case, path: _look(case, path, nar_hash=None, problem="missing"),
    "made unreadable": lambda case, path: _look(case, path, nar_hash=None, problem="unreadable"),
    "kept in motion": lambda case, path: _look(case, path, nar_hash=None, problem="changed"),
    "turned into a fifo": lambda case, path: _look(case, path, nar_hash=None, problem="unarchivable"),
    "set-user-ID": lambda case, path: _look(case, path, anomalies=(Anomaly("setid", "", "mode 4555"),)),
    "undeserved": lambda case, path: _look(case, path, deserved=EVIL),
    "never looked at": lambda case, path: _without(case, path, "paths"),
    "row deleted": lambda case, path: _without(case, path, "rows"),
    "row forged": lambda case, path: _observe(
        case,
        rows={
            other: replace(row, nar_size=row.nar_size + 1) if other == path else row
            for other, row in case.observation.rows.items()
        },
    ),
    "database destroyed": lambda case, _path: _observe(
        case, rows={}, problems=(*case.observation.problems, Problem("EV211", "gone"))
    ),
    "store kept changing": lambda case, _path: _observe(
        case, problems=(*case.observation.problems, Problem("EV505", "changed")), partial=("the store changed",)
    ),
    "entry added": lambda case, _path: _observe(
        case, entries=(*case.observation.entries, Entry("0" * 32 + "-evil", "extra"))
    ),
    "mounted over": lambda case, path: _observe(
        case, mounts=(*case.observation.mounts, Mount(path, "tmpfs", "tmpfs", "/", "rw"))
    ),
    "link removed": lambda case, _path: _observe(case, running=replace(case.observation.running, current=None)),
    "profile moved": lambda case, _path: _observe(case, running=replace(case.observation.running, profile=EVIL)),
    "manifest withheld": lambda case, _path: _trust(case, manifest=None),
    "other manifests withheld": lambda case, _path: _trust(case, others=()),
    "withdrawn": lambda case, _path: _trust(case, withdrawn=tuple(range(10))),
    "held back": lambda case, _path: _trust(case, metadata_age=10**9),
    "evaluation prevented": lambda case, _path: replace(case, evaluation=None),
    "rebuild prevented": lambda case, _path: replace(case, rebuild=None),
    "self-test failed": lambda case, _path: replace(case, self_test="nothing is seen"),
}


@pytest.fixture(scope="module")
def signer() -> CryptoSigner:
    """Give a node's key."""
    return CryptoSigner(Ed25519PrivateKey.generate())


@given(data=st.data())
@settings(max_examples=60)
def test_the_judge_never_raises_and_says_the_same_twice(data: st.DataObject, cases: st.SearchStrategy[Case]) -> None:
    """Whatever was observed, there is a verdict; and it does not depend on the order in which things were seen."""
    case = data.draw(cases)
    observation = case.observation
    turned = _observe(
        case,
        rows=dict(reversed(observation.rows.items())),
        paths=dict(reversed(observation.paths.items())),
    )

    assert judge(case) == judge(turned)


@given(data=st.data())
@settings(max_examples=40)
def test_every_judgement_makes_a_report_that_its_readers_accept(
    data: st.DataObject, cases: st.SearchStrategy[Case], signer: CryptoSigner, names: type[Names]
) -> None:
    """No name, message or count may keep a report from being signed, verified and decoded."""
    case = data.draw(cases)
    chosen = Settings(Config(node="node-1"), "1" * 64, case.policy, "2" * 64)
    outcome = Outcome(case, judge(case), "2.8.0")

    output = build.build(chosen, outcome, build.Occasion(names.now, names.now, "boot", 7, None))
    envelope = build.signed(output, build.subject(outcome), signer)
    found = report.decode(dsse.verify(envelope, intoto.PAYLOAD_TYPE, [signer.public_key]))

    assert (output.verdict, output.findings) == (found.predicate.verdict, found.predicate.findings)
    again = msgspec.json.decode(msgspec.json.encode(output), type=report.RunOutput)
    assert output == again


@given(data=st.data())
@settings(max_examples=60)
def test_damage_never_makes_a_bad_run_pass(data: st.DataObject, cases: st.SearchStrategy[Case]) -> None:
    """Whoever breaks more gets no better verdict, as long as policy does not say that it does not matter."""
    case = data.draw(cases)
    case = replace(case, policy=msgspec.structs.replace(case.policy, severity={}, accept=(), metadata=NO_RULES))
    before = judge(case).verdict
    after = judge(DAMAGES[data.draw(st.sampled_from(sorted(DAMAGES)))](case, data.draw(_paths(case)))).verdict

    assert after != "passed" or before == "passed"


@given(data=st.data())
@settings(max_examples=200)
def test_no_damage_hides_another(data: st.DataObject, scenes: Callable[..., Scene]) -> None:
    """What fails a good system still keeps it from passing after any further damage, in any order."""
    case = scenes(data.draw(st.sampled_from(LEVELS))).case
    verdicts = [judge(case).verdict]
    for name in data.draw(st.lists(st.sampled_from(sorted(DAMAGES)), min_size=1, max_size=5)):
        case = DAMAGES[name](case, data.draw(_paths(case)))
        verdicts.append(judge(case).verdict)

    first = next((at for at, verdict in enumerate(verdicts) if verdict != "passed"), len(verdicts))
    assert "passed" not in verdicts[first:]


def _paths(case: Case) -> st.SearchStrategy[str]:
    return st.sampled_from(sorted(case.observation.rows) or [EVIL])


@pytest.mark.parametrize("damage", sorted(DAMAGES))
@pytest.mark.parametrize("level", ["bytes", "full"])
def test_no_single_damage_to_a_good_system_passes_at_level_full(
    scenes: Callable[..., Scene], names: type[Names], damage: str, level: str
) -> None:
    """Each damage by itself is seen, wherever it is one at that level."""
    other = names.store_path("old-system")
    scene = scenes(level).trust(others=(names.manifest_of([names.record(other)], system=other),)).add(path=other)
    assert "passed" == scene.judge().verdict

    judged = judge(DAMAGES[damage](scene.case, names.tool))

    harmless = {"evaluation prevented", "rebuild prevented"} if level == "bytes" else set()
    # A built path has no content address to deserve.
    assert ("passed" == judged.verdict) == (damage in {*harmless, "undeserved"})
