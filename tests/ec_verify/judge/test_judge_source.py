"""What the embedded flake evaluates to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_verify.conftest import Names, Scene

    from ec_closure.policy import Level


def test_another_derivation_of_the_same_output_is_told(scenes: Callable[[Level], Scene], names: type[Names]) -> None:
    """The derivation is compared by itself: it holds more than its output."""
    scene = scenes("source").evaluation(drv_path=f"{names.tool}.drv")

    assert ("failed", "source", ["EV403"]) == (scene.judge().verdict, scene.judge().level_reached, scene.codes())


def test_a_source_of_another_system_is_told_against_what_runs(
    scenes: Callable[[Level], Scene], names: type[Names]
) -> None:
    """The flake on the disk must describe the system that runs, not the one that CI describes."""
    scene = scenes("source").evaluation(out_path=names.tool)

    assert f"it describes {names.tool}; {names.system} runs" == scene.message("EV404")


def test_a_failed_evaluation_leaves_the_run_undecided(scenes: Callable[[Level], Scene], names: type[Names]) -> None:
    """Failing to evaluate proves nothing and accuses nobody; the bytes are judged all the same."""
    scene = scenes("source").evaluation(drv_path=None, out_path=None, problems=(names.problem("EV405"),))

    assert ("undecided", "bytes", ["EV405"]) == (scene.judge().verdict, scene.judge().level_reached, scene.codes())


def test_an_altered_input_fails_the_run_without_any_evaluation(
    scenes: Callable[[Level], Scene], names: type[Names]
) -> None:
    """Altered source is a finding of its own: nothing needs to be evaluated to see it."""
    scene = scenes("source").evaluation(drv_path=None, out_path=None, problems=(names.problem("EV402"),))

    assert ("failed", "bytes") == (scene.judge().verdict, scene.judge().level_reached)


def test_without_a_manifest_an_evaluation_is_compared_with_nothing(
    scenes: Callable[[Level], Scene], names: type[Names]
) -> None:
    """Where nothing is signed, nothing differs from it."""
    scene = scenes("source").trust(manifest=None).evaluation(out_path=names.tool)

    assert ("undecided", []) == (scene.judge().verdict, scene.codes())
