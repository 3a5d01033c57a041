"""Every block, attribute and type is one that the provider has, and the module's own tests pass."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tests.tofu.reference import ROOT

if TYPE_CHECKING:
    from tests.tofu.conftest import Tofu

MISTAKES = {
    "an attribute that the provider does not have": ("run_as_non_root ", "run_as_nonroot ", "run_as_nonroot"),
    "a block that the provider does not have": ("readiness_probe {", "ready_probe {", "ready_probe"),
    "a required attribute that is not there": ("    service_name = ", "    # service_name = ", "service_name"),
    "a required block that is not there": ("selector {\n      match_labels = local.selector\n    }\n", "", "selector"),
    "a second block where one is taken": (
        "  spec {\n    service_name",
        "  spec {}\n  spec {\n    service_name",
        "spec",
    ),
    "a text in the place of a number": ("local.grace + 10", '"soon"', "number"),
}


def test_everything_is_formatted(program: str) -> None:
    """As the program itself formats, tests and examples included."""
    import subprocess

    done = subprocess.run(
        [program, "fmt", "-check", "-recursive", "-no-color", ROOT],
        env={"TF_CLI_CONFIG_FILE": "/dev/null", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stdout), done.stderr


def test_the_module_is_valid(tofu: Tofu) -> None:
    """By the schema of the provider."""
    assert "Success" in tofu.run(tofu.module, "validate", "-no-color")


def test_the_stack_is_valid(tofu: Tofu) -> None:
    """What it passes on is what the module takes."""
    assert "Success" in tofu.run(tofu.stack, "validate", "-no-color")


def test_the_modules_own_tests_pass(tofu: Tofu) -> None:
    """The files for `tofu test`, which operators can run, too."""
    said = tofu.run(tofu.module, "test", "-no-color")
    written = sum(
        len(re.findall(r'^run "', file.read_text(), re.MULTILINE)) for file in tofu.module.glob("tests/*.tftest.hcl")
    )

    assert written > 20
    assert f"{written} passed, 0 failed" in said


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_seen(scratch: Tofu, mistake: str) -> None:
    """The schema is what judges: each planted mistake is refused, by its name."""
    right, wrong, named = MISTAKES[mistake]
    file = scratch.module / "workload.tf"
    text = file.read_text()
    assert right in text
    file.write_text(text.replace(right, wrong, 1))
    scratch.initialised(scratch.module)

    done = scratch.attempt(scratch.module, "validate", "-no-color")

    assert 1 == done.returncode
    assert named in done.stderr


def test_a_failing_test_fails(scratch: Tofu) -> None:
    """A test of the module that does not hold is not passed over."""
    file = scratch.module / "tests" / "workload.tftest.hcl"
    file.write_text(file.read_text().replace('== "restricted"', '== "privileged"'))
    scratch.initialised(scratch.module)

    done = scratch.attempt(scratch.module, "test", "-no-color")

    assert 1 == done.returncode
    assert "does not enforce the restricted standard" in done.stdout + done.stderr
