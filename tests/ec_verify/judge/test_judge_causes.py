"""Three causes, not four hundred lines; and not one finding less."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ec_closure.findings import KINDS, Severity
from ec_closure.report import Finding
from ec_verify.judge import judge
from ec_verify.judge.causes import ANYWHERE, AT_ONE_PATH, WEIGHT, group, ordered
from ec_verify.observe.mounts import Mount
from ec_verify.scan.metadata import Anomaly

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_verify.conftest import Names, Scene

    from ec_closure.policy import Level
    from ec_closure.report import Cause
    from ec_verify.judge import Case
    from ec_verify.scan.metadata import AnomalyKind

STORE = "/nix/store"
PATHS = [f"{STORE}/{letter * 32}-{letter}{inside}" for letter in "abc" for inside in ("", "/bin")]


def told(scene: Scene) -> list[tuple[str, int, dict[str, int]]]:
    """Return code, count and what follows of each cause."""
    return [(one.code, one.count, one.follows) for one in scene.judge().causes]


def only(scene: Scene) -> Cause:
    """Return the one cause."""
    (cause,) = scene.judge().causes
    return cause


class TestGrouping:
    """What is one cause."""

    def test_a_recursive_touch_is_one_cause(self, scene: Scene, names: type[Names]) -> None:
        """With the first path, and how many there are."""
        for path in (names.library, names.tool, names.editor, names.system):
            scene.look(path, anomalies=(Anomaly("mtime", "", "time stamp 7"),))

        cause = only(scene)

        assert ("EV205", "warn", 4, {}, 0) == (cause.code, cause.severity, cause.count, cause.follows, cause.affected)
        assert sorted([names.library, names.tool, names.editor, names.system]) == list(cause.paths)
        assert cause.message == scene.judge().findings[0].message

    def test_a_dropped_database_is_one_cause(self, scene: Scene) -> None:
        """Every row is missing, for one reason."""
        scene.observe(rows={})

        assert [("EV212", 5, {})] == told(scene)

    def test_an_altered_path_explains_what_is_odd_about_it(self, scene: Scene, names: type[Names]) -> None:
        """Time, mode, row and content address of the same path; those of another stand for themselves."""
        scene.look(
            names.text,
            nar_hash=names.sri("evil"),
            deserved=names.store_path("other"),
            anomalies=(Anomaly("mtime", "", "7"), Anomaly("mode", "", "0644")),
        )
        scene.row(names.text, nar_size=1).look(names.tool, anomalies=(Anomaly("mtime", "", "7"),))

        assert [
            ("EV201", 1, {"EV203": 1, "EV205": 1, "EV210": 1, "EV212": 1}),
            ("EV205", 1, {}),
        ] == told(scene)

    @pytest.mark.parametrize("kind", ["setid", "xattr"])
    def test_a_back_door_stands_for_itself(self, scene: Scene, names: type[Names], kind: AnomalyKind) -> None:
        """It is not explained by the bytes that were altered with it."""
        scene.look(names.tool, nar_hash=names.sri("evil"), anomalies=(Anomaly(kind, "", "x"),))

        assert 2 == len(told(scene))

    def test_a_mount_explains_what_is_seen_through_it(self, scene: Scene, names: type[Names]) -> None:
        """The disk below may be as it was."""
        scene.look(names.tool, nar_hash=names.sri("evil"))
        scene.observe(mounts=(Mount(f"{names.tool}/bin", "tmpfs", "tmpfs", "/", "rw"),))

        assert [("EV303", 1, {"EV201": 1})] == told(scene)

    def test_a_missing_path_explains_its_missing_row(self, scene: Scene, names: type[Names]) -> None:
        """Deleted, as by Nix itself."""
        scene.look(names.tool, nar_hash=None, problem="missing").drop(names.tool, look=False)

        assert [("EV202", 1, {"EV212": 1})] == told(scene)

    def test_nothing_grave_hides_under_what_is_accepted(self, scene: Scene, names: type[Names]) -> None:
        """What weighs less explains nothing that weighs more."""
        scene.look(names.tool, nar_hash=names.sri("evil"), anomalies=(Anomaly("mode", "", "0666"),))
        assert [("EV201", 1, {"EV203": 1})] == told(scene)

        scene.policy(severity={"EV201": "info"})
        assert [("EV203", 1, {}), ("EV201", 1, {})] == told(scene)

    def test_an_altered_input_explains_what_the_evaluation_says(
        self, scenes: Callable[[Level], Scene], names: type[Names]
    ) -> None:
        """From the bytes on the disk to the derivation: one cause in three steps."""
        problems = (names.problem("EV402", names.library), names.problem("EV405"))
        scene = scenes("source").evaluation(problems=problems, drv_path=None)
        assert [("EV402", 1, {"EV405": 1})] == told(scene)

        scene.look(names.library, nar_hash=names.sri("evil"))
        assert [("EV201", 1, {"EV402": 1, "EV405": 1})] == told(scene)

    def test_what_explains_is_not_explained_by_what_it_explains(self) -> None:
        """The tables have no circle, so that every finding has a last reason."""
        order = list(AT_ONE_PATH)
        for code, explained in AT_ONE_PATH.items():
            assert not explained & set(order[: order.index(code) + 1])
        assert not set().union(*ANYWHERE.values()) & (AT_ONE_PATH.keys() | ANYWHERE.keys())
        assert set().union(*AT_ONE_PATH.values(), *ANYWHERE.values()) <= KINDS.keys()


class TestHardLinks:
    """One file under many names."""

    def test_paths_that_share_an_altered_file_are_one_cause(self, scene: Scene, names: type[Names]) -> None:
        """And an altered path that does not share it is another."""
        for path in (names.library, names.tool, names.system):
            scene.look(path, nar_hash=names.sri("evil"))
        link = "0" * 52
        scene.observe(shared={names.library: (link,), names.tool: (link,)})

        found = {cause.count: cause.message for cause in scene.judge().causes}

        assert {1, 2} == found.keys()
        assert found[2].endswith(f": these paths share an altered file, .links/{link}")
        assert ".links" not in found[1]

    def test_too_many_altered_files_are_one_cause_again(self, scene: Scene, names: type[Names]) -> None:
        """A disk that dies altogether is not told file by file."""
        shared = {}
        for number in range(50):
            path = names.store_path(f"part-{number}")
            shared[path] = (f"{number // 2:052}",)
        records = [names.record(path) for path in shared]
        other = names.manifest_of(records, system=next(iter(shared)), version=4)
        for path in shared:
            scene.add(path=path, nar_hash=names.sri("evil"))
        scene.trust(others=(other,)).observe(shared=shared)

        assert [50] == [cause.count for cause in scene.judge().causes if cause.code == "EV201"]


class TestReach:
    """How much of the system a cause reaches."""

    def test_dependents_of_an_altered_path_are_counted(self, scene: Scene, names: type[Names]) -> None:
        """Directly and not; those that are altered themselves are no consequence."""
        scene.look(names.library, nar_hash=names.sri("evil"))
        assert 2 == only(scene).affected

        scene.look(names.tool, nar_hash=names.sri("evil"))
        assert (2, 1) == (only(scene).count, only(scene).affected)

    def test_inherited_differences_are_counted_at_their_root(
        self, scenes: Callable[[Level], Scene], names: type[Names]
    ) -> None:
        """They raise no finding of their own."""
        scene = scenes("full").evidence(names.library, rebuilt=names.sri("other"))
        scene.evidence(names.tool, tainted_by=(names.library,)).evidence(names.system, tainted_by=(names.library,))
        scene.evidence(names.editor, rebuilt=names.sri("different"))

        found = {cause.paths: cause.affected for cause in scene.judge().causes}

        assert {(names.library,): 2, (names.editor,): 0} == found

    def test_two_outputs_of_one_derivation_are_one_cause(
        self, scenes: Callable[[Level], Scene], names: type[Names]
    ) -> None:
        """A builder that differs does so in all that it makes."""
        scene = scenes("full")
        assert scene.case.manifest is not None
        records = [
            msgspec.structs.replace(one, deriver=f"{names.tool}.drv") if one.path == names.library else one
            for one in scene.case.manifest.paths
        ]
        scene.trust(manifest=msgspec.structs.replace(scene.case.manifest, paths=tuple(records)))
        for path in (names.tool, names.library, names.system):
            scene.evidence(path, rebuilt=names.sri("other"))

        assert [1, 2] == sorted(cause.count for cause in scene.judge().causes)

    def test_what_somebody_asked_for_is_named_before_what_it_brought(self, scene: Scene, names: type[Names]) -> None:
        """A shell that was opened on a node: its own path first, not the first of a hundred libraries."""
        brought = [names.store_path(f"lib-{number}") for number in range(5)]
        wanted = names.store_path("zsh")
        for path in (*brought, wanted):
            scene.add(path=path)
        scene.row(wanted, references=tuple(brought))

        cause = only(scene)

        assert ("EV208", 6, wanted) == (cause.code, cause.count, cause.paths[0])
        assert "zsh" in cause.message


@given(
    st.lists(
        st.builds(
            Finding,
            code=st.sampled_from(sorted(set(AT_ONE_PATH) | set(ANYWHERE) | {"EV205", "EV212", "EV405", "EV501"})),
            severity=st.sampled_from(get_args(Severity)),
            message=st.sampled_from(["a", "b"]),
            hint=st.just("h"),
            path=st.none() | st.sampled_from([*PATHS, "/etc/passwd", STORE]),
        ),
        max_size=40,
    )
)
@settings(max_examples=300)
def test_grouping_loses_and_invents_nothing(scenes: Callable[[Level], Scene], findings: list[Finding]) -> None:
    """Every finding is in one group, once; the group is as grave as its gravest; and the order is that of weight."""
    groups = group(scenes("bytes").case, findings)

    assert Counter(findings) == Counter(one for each in groups for one in (*each.own, *each.follow))
    for each in groups:
        assert 1 == len({(one.code, one.severity) for one in each.own})
        assert all(WEIGHT[one.severity] >= WEIGHT[each.own[0].severity] for one in each.follow)
    found = ordered(groups)
    assert Counter(findings) == Counter(found)
    assert sorted(WEIGHT[one.severity] for one in found) == [WEIGHT[one.severity] for one in found]
    assert groups == group(scenes("bytes").case, findings[::-1])


@given(data=st.data())
@settings(max_examples=60)
def test_the_causes_of_any_case_stand_for_all_its_findings(data: st.DataObject, cases: st.SearchStrategy[Case]) -> None:
    """Nothing that a run found is without its cause."""
    judged = judge(data.draw(cases))

    assert len(judged.findings) == sum(one.count + sum(one.follows.values()) for one in judged.causes)
    assert {one.code for one in judged.findings} == {code for one in judged.causes for code in (one.code, *one.follows)}
    assert [one.severity for one in judged.causes] == sorted(
        (one.severity for one in judged.causes), key=lambda severity: WEIGHT[severity]
    )
