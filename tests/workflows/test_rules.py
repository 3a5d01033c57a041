"""Every workflow and action keeps the rules; each rule finds what breaks it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.workflows import rules, verbs
from tests.workflows.command import commands
from tests.workflows.documents import ROOT, action_files, read, workflow_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.workflows.documents import Document

FILES = [*workflow_files(), *action_files()]
CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1"
GOOD = f"""
on: push
permissions: {{}}
concurrency: a
jobs:
  a:
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    permissions:
      contents: read
    steps:
      - uses: {CHECKOUT}
        with:
          persist-credentials: false
      - env:
          REF: ${{{{ github.ref_name }}}}
        run: >-
          nix run .#ec-release --
          trust refresh --directory "$REF" --keys keys
"""


@pytest.mark.parametrize("file", FILES, ids=lambda file: "-".join(file.parts[-3:]))
@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_it_keeps_the_rule(rule: Callable[[Document], Any], file: Path) -> None:
    """Pins, rights, credentials, ends, events, and what a `run:` may say."""
    assert list(rule(read(file))) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: "-".join(file.parts[-3:]))
def test_our_own_program_takes_what_it_is_called_with(file: Path) -> None:
    """A verb or an option that was renamed is renamed here, too."""
    refused = [
        f"{place}: {why}"
        for place, command in rules.runs(read(file))
        if (words := rules.our_arguments(command)) is not None and (why := verbs.refused(words))
    ]

    assert refused == []


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (rules.unpinned, CHECKOUT, "actions/checkout@v7"),
        (rules.unpinned, CHECKOUT, CHECKOUT.replace("v7.0.1", "v7.0.0")),
        (rules.unpinned, CHECKOUT, CHECKOUT.partition(" ")[0]),
        (rules.unpinned, CHECKOUT, CHECKOUT.replace("3d3c", "3d3d")),
        (rules.unpinned, CHECKOUT, CHECKOUT.replace("checkout", "check-out")),
        (rules.unpinned, CHECKOUT, "./.github/actions/none"),
        (rules.unpinned, "persist-credentials", "persist-credential"),
        (rules.kept_credentials, "persist-credentials: false", "fetch-depth: 1"),
        (rules.kept_credentials, "persist-credentials: false", "persist-credentials: true"),
        (rules.kept_credentials, "persist-credentials: false", "persist-credentials: 'false'"),
        (rules.too_many_rights, "permissions: {}", ""),
        (rules.too_many_rights, "permissions: {}", "permissions: read-all"),
        (rules.too_many_rights, "permissions: {}", "permissions: {packages: write}"),
        (rules.too_many_rights, "permissions:\n      contents: read", "permissions: write-all"),
        (rules.too_many_rights, "permissions:\n      contents: read", "env: {}"),
        (rules.without_end, "timeout-minutes: 5", "env: {}"),
        (rules.without_end, "ubuntu-24.04", "ubuntu-latest"),
        (rules.without_end, "concurrency: a", ""),
        (rules.passed_over, "timeout-minutes: 5", "timeout-minutes: 5\n    continue-on-error: true"),
        (rules.passed_over, "run: >-", "continue-on-error: true\n        run: >-"),
        (rules.dangerous_events, "on: push", "on: [push, pull_request_target]"),
        (rules.dangerous_events, "on: push", "on:\n  workflow_run: {workflows: [a]}"),
        (rules.interpolated, '"$REF"', "${{ github.ref_name }}"),
        (rules.interpolated, "run: >-", "shell: ${{ inputs.shell }}\n        run: >-"),
        (rules.not_simple, '"$REF"', "$REF"),
        (rules.not_simple, "run: >-", "run: |"),
        (rules.not_simple, "--keys keys", "--keys keys | tee log"),
        (rules.not_simple, "nix run .#ec-release --", "bash -c"),
        (rules.not_simple, "nix run .#ec-release --", "nix develop --command bash -c"),
        (rules.not_simple, "nix run .#ec-release --", "nix develop --command /usr/bin/python3 -c"),
        (rules.not_simple, "nix run .#ec-release --", "nix eval --raw"),
        (rules.not_simple, "nix run .#ec-release --", "nix build --expr"),
        (rules.not_simple, "nix run .#ec-release --", "curl"),
        (rules.not_simple, "nix run .#ec-release --", "sudo"),
        (rules.not_simple, "nix run .#ec-release --", "sudo nix run .#ec-release --"),
        (rules.scripts_missing, "nix run .#ec-release --", "sudo ./develop"),
        (rules.not_simple, "run: >-", "shell: python\n        run: >-"),
        (rules.not_simple, "--keys keys", '--keys keys >> "$GITHUB_ENV"'),
        (rules.scripts_missing, "nix run .#ec-release --", "./develop"),
        (rules.scripts_missing, "nix run .#ec-release --", "./README.md"),
        (rules.scripts_missing, "nix run .#ec-release --", "./../elsewhere"),
    ],
)
def test_what_breaks_a_rule_is_found(planted: Callable[..., Document], rule: Any, good: str, bad: str) -> None:
    """The same workflow passes the rule without the mistake."""
    assert good in GOOD
    assert list(rule(planted(GOOD))) == []
    assert list(rule(planted(GOOD.replace(good, bad)))) != []


@pytest.mark.parametrize("label", ["nix-x86_64", "[self-hosted, nix-x86_64]"])
def test_a_pull_request_on_a_machine_of_releases_is_found(planted: Callable[..., Document], label: str) -> None:
    """The label of `.forgejo/boot-images.toml` is for what was merged; other labels are for anybody."""
    merged = GOOD.replace("ubuntu-24.04", label)
    proposed = merged.replace("on: push", "on: [push, pull_request]")

    assert list(rules.machines_of_strangers(planted(merged, forge=".forgejo"))) == []
    assert list(rules.machines_of_strangers(planted(GOOD.replace("on: push", "on: pull_request")))) == []
    assert list(rules.machines_of_strangers(planted(proposed, forge=".forgejo"))) == [
        "planted.yml: jobs.a runs on nix-x86_64"
    ]


def test_whoever_moves_tags_has_the_whole_history() -> None:
    """Else a run that is run again would move them back."""
    moving = [
        (f"{file.name}: {name}", job)
        for file in workflow_files()
        for name, job in read(file).jobs.items()
        if any(
            "image-promote" in str(step.get("run")) or "push-ghcr-images@" in str(step.get("uses"))
            for step in job.get("steps", [])
        )
    ]

    assert [name for name, _ in moving] == ["container.yml: publish", "nix.yml: push"]
    for name, job in moving:
        assert [s["with"]["fetch-depth"] for s in job["steps"] if "actions/checkout" in s.get("uses", "")] == [0], name


CALLS = """
on: {workflow_call: {inputs: {one: {type: string}}}}
permissions: {}
jobs:
  a:
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    permissions: {contents: read}
    outputs: {said: "${{ steps.s.outputs.x }}"}
    steps:
      - {id: s, run: ./dev check}
      - {if: steps.s.outcome == 'success', run: ./dev check, env: {X: "${{ inputs.one }}"}}
  b:
    needs: [a]
    uses: ./.github/workflows/container.yml
    permissions: {contents: read, packages: write, id-token: write, security-events: write}
    with: {class: "${{ needs.a.outputs.said }}"}
  c:
    needs: b
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    permissions: {}
    steps:
      - {run: ./dev check, env: {X: "${{ needs.b.outputs.reference }}"}}
"""


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (rules.dangling, "steps.s.outputs", "steps.t.outputs"),
        (rules.dangling, "steps.s.outcome", "steps.t.outcome"),
        (rules.dangling, "{id: s, run", "{id: t, run"),
        (rules.dangling, "inputs.one", "inputs.two"),
        (rules.dangling, "needs: [a]", "needs: []"),
        (rules.dangling, "needs: [a]", "needs: [a, d]"),
        (rules.dangling, "outputs.said", "outputs.told"),
        (rules.dangling, "outputs.reference", "outputs.tag"),
        (rules.wrong_calls, "class:", "kind:"),
        (rules.wrong_calls, "with: {class", "env: {class"),
        (rules.wrong_calls, ", id-token: write", ""),
        (rules.wrong_calls, "packages: write", "packages: read"),
    ],
)
def test_what_refers_to_nothing_is_found(planted: Callable[..., Document], rule: Any, good: str, bad: str) -> None:
    """Steps and jobs that are not there or come later, outputs and inputs that nobody declared, missing rights."""
    assert good in CALLS
    assert list(rule(planted(CALLS))) == []
    assert list(rule(planted(CALLS.replace(good, bad)))) != []


def test_a_job_that_the_mirror_would_run_is_found(planted: Callable[..., Document]) -> None:
    """On Forgejo, that is; GitHub is not mirrored."""
    guarded = GOOD.replace("    runs-on", f"    if: {rules.NOT_THE_MIRROR}\n    runs-on")

    assert list(rules.on_the_mirror(planted(GOOD))) == []
    assert list(rules.on_the_mirror(planted(GOOD, forge=".forgejo"))) != []
    assert list(rules.on_the_mirror(planted(guarded, forge=".forgejo"))) == []


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_what_is_good_passes_every_rule(planted: Callable[..., Document], rule: Any) -> None:
    """No rule asks for what another forbids."""
    assert list(rule(planted(GOOD))) == []


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        ('trust refresh --directory "$A" --keys "$B" --timestamp-days "$C" --time "$D"', True),
        (
            'publish --directory d --keys k --tag "$T" --version "$V" --assets a b --closure "$D/c.closure.json.zst"',
            True,
        ),
        ('image-tags --class "$C" --event e --ref "$R" --commit c --owner o', True),
        ("image-tags --class other --event e --ref r --commit c --owner o", False),
        ("trust refresh --directory d --keys k --forced", False),
        ("trust refreshed --directory d --keys k", False),
        ("trust refresh --directory d --keys k extra words", False),
        ('trust refresh --directory d --keys k --timestamp-days "many"', False),
        ('publish --directory d --keys k --tag "$T"', False),
        ("trust", False),
        ('"$VERB" --directory d', False),
        ("--help", False),
        ("nonsense", False),
    ],
)
def test_verbs_and_options_are_asked_of_the_program(line: str, taken: bool) -> None:  # noqa: FBT001
    """Variables may hold whatever fits; words must be there."""
    (command,) = commands(f"nix run --print-build-logs .#ec-release -- {line}")
    words = rules.our_arguments(command)
    assert words is not None

    assert taken == (verbs.refused(words) is None)


def test_other_programs_are_not_ours() -> None:
    """Only `ec-release`, installed or from this flake, is parsed."""
    (other,) = commands("nix run .#ec-verify -- run")
    (installed,) = commands("ec-release trust show")

    assert rules.our_arguments(other) is None
    assert rules.our_arguments(installed) == installed.words[1:]


def test_what_updates_actions_updates_their_pins() -> None:
    """Renovate finds every entry of the one place that holds them, but for our own, which move with our commits."""
    renovate = json.loads((ROOT / ".github" / "renovate.json").read_text())
    text = (ROOT / "tests" / "workflows" / "pins.toml").read_text()
    found = []
    for manager in renovate["customManagers"]:
        assert re.search(manager["managerFilePatterns"][0].strip("/"), "tests/workflows/pins.toml")
        found += re.findall(manager["matchStrings"][0].replace("(?<", "(?P<").replace("(?P<!", "(?<!"), text)

    assert sorted(found) == sorted(
        ("/".join(name.split("/")[:2]), pin.digest, pin.version)
        for name, pin in rules.pins().items()
        if not name.startswith("every-channel/")
    )


def test_pins_are_digests_of_versions() -> None:
    """A table of forty digits and a version, sorted by name."""
    assert list(rules.pins()) == sorted(rules.pins())
    for pin in rules.pins().values():
        assert re.fullmatch(r"[0-9a-f]{40}", pin.digest)
        # Our own actions have no versions: the day of the commit.
        assert re.fullmatch(r"v\d+(\.\d+\.\d+)?|\d{4}-\d\d-\d\d", pin.version)
