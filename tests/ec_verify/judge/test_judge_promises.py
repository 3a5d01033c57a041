"""What an operator accepts is said to be accepted, ends on its day, and is named when nothing is left of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ec_verify.scan.entries import Entry
from ec_verify.scan.metadata import Anomaly

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_verify.conftest import Names, Scene

    from ec_closure.policy import Level


def entry(pattern: str = "tool", expires: str = "2027-11-20", **more: str) -> dict[str, str]:
    """Return an entry of the register, or with a *code* an acceptance."""
    return {"pattern": pattern, "owner": "image team", "reason": "it is known", "expires": expires} | more


def touched(scene: Scene, names: type[Names], **policy: Any) -> Scene:
    """Return *scene* with a time stamp on the tool that weighs `fail`, under *policy*."""
    scene.look(names.tool, anomalies=(Anomaly("mtime", "bin/tool", "time stamp 7"),))
    return scene.policy(severity={"EV205": "fail"}, **policy)


class TestAcceptances:
    """`[[accept]]`."""

    def test_an_accepted_finding_is_information_and_says_so(self, scene: Scene, names: type[Names]) -> None:
        """Who reads the report sees what was found, until when it is tolerated, by whom and why."""
        touched(scene, names, accept=(entry(code="EV205"),))

        (found,) = scene.judge().findings

        assert ("passed", "EV205", "info") == (scene.judge().verdict, found.code, found.severity)
        assert found.message.endswith("time stamp 7 (accepted until 2027-11-20 by image team: it is known)")

    @pytest.mark.parametrize(
        "accept", [entry(code="EV203"), entry("editor", code="EV205"), entry("TOOL", code="EV205"), entry(code="EV201")]
    )
    def test_another_code_or_pattern_covers_nothing(
        self, scene: Scene, names: type[Names], accept: dict[str, str]
    ) -> None:
        """The harmless neighbour of a finding excuses it not."""
        touched(scene, names, accept=(accept,))

        assert "failed" == scene.judge().verdict
        assert ["EV205", "EV912"] == scene.codes()

    def test_the_last_day_counts_and_the_next_does_not(self, scene: Scene, names: type[Names]) -> None:
        """Days are those of UTC, whatever the clock of the reader says."""
        touched(scene, names, accept=(entry(code="EV205", expires="2026-11-20"),))
        end = scene.case.time // 86400 * 86400 + 86400

        assert ["info", "info"] == [one.severity for one in scene.set(time=end - 1).judge().findings]
        assert ["EV205", "EV910"] == scene.set(time=end).codes()
        assert "(the acceptance by image team expired on 2026-11-20)" in scene.message("EV205")
        assert "failed" == scene.judge().verdict

    def test_the_first_entry_that_fits_counts(self, scene: Scene, names: type[Names]) -> None:
        """Expired or not: a wide entry behind it must not keep an old promise alive unseen."""
        first, second = entry(code="EV205", expires="2026-01-01"), entry("*", code="EV205")
        touched(scene, names, accept=(first, second))

        assert ["EV205", "EV910", "EV912"] == scene.codes()

    def test_findings_without_a_path_are_covered_by_stars_alone(self, scene: Scene) -> None:
        """They are about no path that a pattern could name."""
        scene.trust(newer_releases=11).policy(accept=(entry("?*", code="EV111"),))
        assert "failed" == scene.judge().verdict

        scene.policy(accept=(entry("*", code="EV111"),))
        assert "passed" == scene.judge().verdict

    def test_what_lies_beside_the_store_paths_is_named_as_it_is(self, scene: Scene) -> None:
        """An entry without a hash has no other name."""
        scene.observe(entries=(Entry("lost+found", "extra"),)).policy(accept=(entry("lost+found", code="EV209"),))

        assert ("passed", ["EV209"]) == (scene.judge().verdict, scene.codes())

    def test_an_acceptance_checks_nothing(self, scene: Scene, names: type[Names]) -> None:
        """What could not be read keeps the level from being reached."""
        scene.look(names.tool, nar_hash=None, problem="unreadable").policy(accept=(entry(code="EV213"),))

        assert "undecided" == scene.judge().verdict

    @pytest.mark.parametrize(("code", "level"), [("EV205", "bytes"), ("EV403", "source"), ("EV502", "rebuild")])
    def test_an_unused_entry_is_named_where_it_could_have_been_used(
        self, scenes: Callable[[Level], Scene], code: str, level: Level
    ) -> None:
        """A scan does not know what a rebuild would show."""
        levels: tuple[Level, ...] = ("bytes", "source", "rebuild", "full")
        for asked in levels:
            scene = scenes(asked).policy(accept=(entry("*", code=code),))

            expected = ["EV912"] if levels.index(asked) >= levels.index(level) else []
            assert ("passed", expected) == (scene.judge().verdict, scene.codes())

    def test_an_entry_is_not_unused_where_another_node_rebuilds_its_path(
        self, scenes: Callable[[Level], Scene]
    ) -> None:
        """Nor where time was over: what was skipped may still need it."""
        scene = scenes("full").policy(accept=(entry("*", code="EV502"),))
        assert ["EV912"] == scene.codes()

        assert [] == scene.rebuild(skipped={"/nix/store/x": "another node's share"}).codes()


class TestRegister:
    """`[[unreproducible]]`."""

    @pytest.mark.parametrize("level", ["bytes", "full"])
    def test_an_expired_entry_fails_though_nothing_differs(
        self, scenes: Callable[[Level], Scene], level: Level
    ) -> None:
        """A promise to look again is due on its day, not when somebody happens to rebuild."""
        scene = scenes(level).policy(unreproducible=(entry(expires="2026-11-19"),))

        assert ("failed", ["EV504"]) == (scene.judge().verdict, scene.codes())
        assert "(image team) expired on 2026-11-19" in scene.message("EV504")

    def test_an_expired_entry_is_named_at_the_path_that_it_covers(
        self, scenes: Callable[[Level], Scene], names: type[Names]
    ) -> None:
        """Once, not twice."""
        scene = scenes("full").evidence(names.tool, rebuilt=names.sri("other"))
        scene.policy(unreproducible=(entry(expires="2026-11-19"),))

        assert [("EV504", names.tool)] == [(one.code, one.path) for one in scene.judge().findings]

    @pytest.mark.parametrize(
        ("expires", "codes"), [("2026-11-20", ["EV911"]), ("2026-12-04", ["EV911"]), ("2026-12-05", [])]
    )
    def test_the_last_fortnight_is_told(self, scene: Scene, expires: str, codes: list[str]) -> None:
        """So that nobody is surprised by a fleet that fails at midnight."""
        scene.policy(unreproducible=(entry(expires=expires),))

        assert ("passed", codes) == (scene.judge().verdict, scene.codes())

    def test_what_reproduces_needs_no_entry(self, scenes: Callable[[Level], Scene], names: type[Names]) -> None:
        """The entry is named once a rebuild has shown it, and not while it covers a difference."""
        scene = scenes("full").policy(unreproducible=(entry(),))
        assert ("passed", ["EV912"]) == (scene.judge().verdict, scene.codes())
        assert "(1 paths) came out as signed" in scene.message("EV912")

        scene.evidence(names.tool, rebuilt=names.sri("other"))
        assert ["EV501"] == scene.codes()

    def test_an_entry_is_not_judged_by_a_build_that_failed(
        self, scenes: Callable[[Level], Scene], names: type[Names]
    ) -> None:
        """Nor by a path that the level does not rebuild."""
        scene = scenes("full").evidence(names.tool, rebuilt=None).policy(unreproducible=(entry(),))
        assert ["EV502"] == scene.codes()

        assert [] == scenes("rebuild").policy(unreproducible=(entry("editor"),)).codes()
        assert ["EV912"] == scenes("full").policy(unreproducible=(entry("editor"),)).codes()

    def test_an_entry_that_fits_nothing_is_named(self, scenes: Callable[[Level], Scene]) -> None:
        """Also one that another entry always comes before."""
        scene = scenes("full").policy(unreproducible=(entry("tool*"), entry("tool"), entry("gone")))

        assert ["EV912"] * 3 == scene.codes()
        assert [] == scenes("source").policy(unreproducible=(entry("gone"),)).codes()


class TestMetadataRules:
    """`[metadata]`."""

    def test_time_stamps_may_say_nothing(self, scene: Scene, names: type[Names]) -> None:
        """On paths of some names, and of those only."""
        assert ("passed", []) == (
            touched(scene, names, metadata={"times": ["to?l"]}).judge().verdict,
            scene.codes(),
        )
        assert "failed" == touched(scene, names, metadata={"times": ["*-tool"]}).judge().verdict

    def test_no_rule_for_time_stamps_excuses_a_mode(self, scene: Scene, names: type[Names]) -> None:
        """Each kind of anomaly stands for itself."""
        scene.look(names.tool, anomalies=(Anomaly("mtime", "", "7"), Anomaly("setid", "", "4555")))

        assert ["EV206"] == scene.policy(metadata={"times": ["*"]}).codes()


class TestSystems:
    """Which signed systems may run."""

    @pytest.mark.parametrize(
        ("systems", "verdict"), [((), "passed"), (("sys*",), "passed"), (("x", "system"), "passed"), (("x",), "failed")]
    )
    def test_what_runs_must_be_allowed(self, scene: Scene, systems: tuple[str, ...], verdict: str) -> None:
        """By attribute or name; none means any."""
        assert verdict == scene.policy(systems=systems).judge().verdict

    def test_what_boots_next_must_be_allowed_too(self, scene: Scene, names: type[Names]) -> None:
        """A profile that names a system of another kind is one reboot away from it."""
        other = names.manifest_of([names.record(names.tool)], system=names.tool, version=4)
        system = type(other.system)(
            name="rescue", attr="rescue", platform="x", drv_path=f"{names.tool}.drv", out_path=names.tool
        )
        others = (type(other)(**{**{f: getattr(other, f) for f in other.__struct_fields__}, "system": system}),)
        scene.trust(others=others).policy(systems=("system",))
        assert "passed" == scene.judge().verdict

        scene.run(profile=names.tool)
        assert ["EV116", "EV304"] == scene.codes()
