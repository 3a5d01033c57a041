"""Cases that nobody has thought of: every combination of what a run can see."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Literal, get_args

import pytest
from hypothesis import strategies as st

from ec_closure.findings import KINDS, Severity
from ec_closure.hashes import Hash
from ec_closure.policy import LEVELS, PROMISES, Accepted, Freshness, Metadata, Policy, Unreproducible
from ec_closure.store_db_audit import Audit, Flaw, FlawKind
from ec_verify.judge import Case
from ec_verify.model import Evaluation, InputCheck, Observation, OutputEvidence, Problem, Rebuild, TrustOutcome
from ec_verify.observe.layers import StoreLayers
from ec_verify.observe.mounts import Mount
from ec_verify.observe.overlay import Mark
from ec_verify.observe.running import Running
from ec_verify.observe.upper import UpperEntry, UpperLayer
from ec_verify.scan.entries import Entry
from ec_verify.scan.metadata import Anomaly, AnomalyKind
from ec_verify.scan.oddity import Oddity
from ec_verify.scan.path import PathObservation

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_verify.conftest import Names, Scene

    from ec_closure.policy import Level
    from ec_closure.store_db import PathInfo

# Whatever a disk, a kernel or a builder may say: control characters, and bytes that are no UTF-8.
texts = st.text(st.characters(), max_size=12) | st.sampled_from(["\x1b[31m", "\udcff", "a\nb", "", "x" * 2000])
PROBLEMS: tuple[Literal["missing", "unreadable", "changed", "unarchivable", "oversized"], ...] = (
    "missing",
    "unreadable",
    "changed",
    "unarchivable",
    "oversized",
)
counts = st.integers(0, 40 * 86400)


@pytest.fixture(scope="session")
def cases(scenes: Callable[..., Scene], names: type[Names]) -> st.SearchStrategy[Case]:
    """Give a strategy for cases over a few paths, with nothing about them that need fit together."""
    untouched = scenes("full").case
    assert untouched.manifest is not None
    old = names.store_path("old-system")
    other = names.manifest_of([names.record(old)], system=old, version=4)
    strangers = [names.store_path(name) for name in ("hello", "evil")]
    known = [record.path for record in untouched.manifest.paths]
    paths = st.sampled_from([*known, old, *strangers])
    signed = {record.path: record for record in (*untouched.manifest.paths, *other.paths)}
    signed |= {path: names.record(path) for path in strangers}
    problem = st.builds(Problem, st.sampled_from(sorted(KINDS)), texts, st.none() | paths | texts)
    problems = st.lists(problem, max_size=3)
    flaws = st.builds(Flaw, st.sampled_from(get_args(FlawKind)), texts, st.none() | paths | texts)
    outputs = st.dictionaries(st.tuples(paths.map("{}.drv".format), st.just("out")), paths | texts, max_size=2)
    audits = st.builds(Audit, st.lists(flaws, max_size=2).map(tuple), outputs)
    mounts = st.builds(Mount, texts, texts, texts, texts, texts)
    uppers = st.builds(
        UpperEntry,
        paths | texts,
        st.sampled_from(["file", "symlink", "directory", "other"]),
        st.none() | st.sampled_from(get_args(Mark)),
        texts,
        st.none() | st.booleans(),
    )
    layers = st.builds(
        StoreLayers,
        st.lists(mounts, max_size=2).map(tuple),
        st.none() | texts | st.just("overlay"),
        st.lists(uppers, max_size=2).map(tuple),
        unknown=st.lists(texts, max_size=1).map(tuple),
    )
    written = st.builds(
        UpperLayer, st.lists(uppers, max_size=2).map(tuple), counts, st.lists(texts, max_size=1).map(tuple)
    )
    kinds = st.sampled_from([*get_args(AnomalyKind), "stranger"])

    @st.composite
    def looks(draw: st.DrawFn, path: str) -> PathObservation:
        problem = draw(st.sampled_from((None, None, None, *PROBLEMS)))
        good = signed[path].nar_hash
        anomalies = st.builds(Anomaly, st.sampled_from(get_args(AnomalyKind)), texts, texts)
        return PathObservation(
            path,
            None if problem else draw(st.sampled_from([good, good, names.sri("evil")])),
            draw(counts),
            tuple(draw(st.lists(anomalies, max_size=2))),
            draw(st.none() | st.sampled_from([path, strangers[0]])),
            problem,
            draw(texts),
            draw(st.none() | st.frozensets(paths.map(lambda one: one.rpartition("/")[2][:32]) | texts, max_size=3)),
        )

    @st.composite
    def rows(draw: st.DrawFn, path: str) -> PathInfo:
        hashes = st.sampled_from([signed[path].nar_hash, names.sri("evil")])
        return names.row_of(
            signed[path],
            tuple(draw(st.lists(paths, max_size=2))),
            nar_hash=Hash.parse(draw(hashes)),
            ca=draw(st.none() | texts),
            deriver=draw(st.none() | texts | st.just(f"{path}.drv")),
            ultimate=draw(st.booleans()),
            signatures=tuple(draw(st.lists(texts | st.just("cache.invalid-1:AAAA"), max_size=2))),
            registration_time=draw(st.sampled_from([0, 5_000_000_000])),
        )

    @st.composite
    def evidence(draw: st.DrawFn, path: str) -> OutputEvidence:
        return OutputEvidence(
            path,
            f"{path}.drv",
            "out",
            draw(st.sampled_from([None, signed[path].nar_hash, names.sri("other")])),
            draw(st.none() | texts),
            draw(st.none() | texts),
            tuple(draw(st.lists(paths, max_size=4))),
        )

    @st.composite
    def draw_case(draw: st.DrawFn) -> Case:
        chosen = draw(st.sets(paths))
        links = st.none() | st.sampled_from([known[0], old])
        level: Level = draw(st.sampled_from(LEVELS))
        checks = st.builds(InputCheck, texts, paths, st.just(names.sri("input")), st.none() | st.just("seen"))
        return Case(
            level=level,
            policy=draw(policies()),
            time=draw(st.integers(0, 4_000_000_000)),
            store_dir=untouched.store_dir,
            trust=TrustOutcome(
                manifest=draw(st.none() | st.just(untouched.manifest)),
                manifest_digest="0" * 64,
                target="v5/system.closure.json.zst",
                others=draw(st.sampled_from([(), (other,)])),
                metadata_age=draw(st.none() | counts),
                latest_version=draw(st.none() | st.integers(1, 9)),
                newer_releases=draw(st.none() | st.integers(0, 99)),
                min_version=draw(st.integers(0, 9)),
                withdrawn=tuple(draw(st.lists(st.integers(0, 9), max_size=3))),
                offline=draw(st.booleans()),
                problems=tuple(draw(problems)),
            ),
            observation=Observation(
                running=Running(
                    draw(links),
                    draw(links),
                    draw(links),
                    command_line_init=draw(st.none() | texts | paths),
                    unobserved=tuple(draw(st.lists(texts, max_size=2))),
                ),
                mounts=tuple(draw(st.lists(mounts, max_size=2))),
                rows={path: draw(rows(path)) for path in draw(st.sets(paths))},
                entries=tuple(
                    draw(st.lists(st.builds(Entry, texts, st.sampled_from(["extra", "in flight"])), max_size=2))
                ),
                paths={path: draw(looks(path)) for path in chosen},
                problems=tuple(draw(problems)),
                partial=tuple(draw(st.lists(texts, max_size=1))),
                oddities=tuple(draw(st.lists(st.builds(Oddity, kinds, texts, texts, counts), max_size=2))),
                database=draw(audits),
                layers=draw(layers),
                written=draw(written),
                searched=draw(st.booleans()),
            ),
            evaluation=draw(
                st.none()
                | st.builds(
                    Evaluation,
                    flake=st.none() | checks,
                    inputs=st.lists(checks, max_size=2).map(tuple),
                    drv_path=st.none() | paths,
                    out_path=st.none() | paths,
                    problems=problems.map(tuple),
                )
            ),
            rebuild=draw(
                st.none()
                | st.builds(
                    Rebuild,
                    outputs=st.sets(paths).flatmap(
                        lambda some: st.fixed_dictionaries({path: evidence(path) for path in some})
                    ),
                    build_only=st.integers(0, 3),
                    skipped=st.dictionaries(paths, texts, max_size=2),
                    strays=st.lists(texts, max_size=2).map(tuple),
                    unavailable=st.none() | texts,
                    problems=problems.map(tuple),
                )
            ),
            self_test=draw(st.none() | texts),
        )

    return draw_case()


def policies() -> st.SearchStrategy[Policy]:
    """Return a strategy for policies, most of them plain."""
    patterns = st.lists(st.sampled_from(["*", "*-hello", "evil", "[", "*-[a-z]*"]), max_size=2).map(tuple)
    entries = st.builds(
        Unreproducible,
        pattern=st.sampled_from(["*", "tool", "["]),
        owner=st.just("builds"),
        reason=st.just("draws numbers"),
        expires=st.dates(datetime.date(1970, 1, 1), datetime.date(2100, 1, 1)),
    )
    acceptances = st.builds(
        Accepted,
        code=st.sampled_from(sorted(set(KINDS) - PROMISES)),
        pattern=st.sampled_from(["*", "tool", "evil"]),
        owner=st.just("builds"),
        reason=st.just("known"),
        expires=st.dates(datetime.date(1970, 1, 1), datetime.date(2100, 1, 1)),
    )
    return st.builds(
        Policy,
        systems=st.just(()) | st.just(("another",)),
        allow_specialisations=st.booleans(),
        metadata=st.builds(Metadata, times=patterns),
        accept=st.just(()) | st.lists(acceptances, max_size=3).map(tuple),
        level=st.sampled_from(LEVELS),
        severity=st.just({}) | st.dictionaries(st.sampled_from(sorted(KINDS)), st.sampled_from(get_args(Severity))),
        freshness=st.builds(Freshness),
        allowed_unlisted=patterns,
        allowed_extra=patterns,
        cache_keys=st.sampled_from([(), (f"cache.invalid-1:{'A' * 43}=",)]),
        unreproducible=st.lists(entries, max_size=2).map(tuple),
    )
