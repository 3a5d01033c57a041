"""Every workflow and action is one, by the schemas of those that run it, and by a reader that takes no two readings."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml
from tests.workflows import forgejo
from tests.workflows.documents import ROOT, Document, action_files, load, read, workflow_files

if TYPE_CHECKING:
    from collections.abc import Callable

WORKFLOWS, ACTIONS = workflow_files(), action_files()
SMALL = "on: push\njobs: {a: {runs-on: ubuntu-24.04, steps: [{run: ./dev check}]}}\n"


def schema(name: str) -> Any:
    """Return a schema that check-jsonschema brings along."""
    found = importlib.util.find_spec("check_jsonschema")
    if found is None or found.origin is None:
        pytest.skip("there is no check-jsonschema, which has the schemas")
    return json.loads((Path(found.origin).parent / "builtin_schemas" / "vendor" / f"{name}.json").read_text())


def errors(document: Document) -> list[str]:
    """Return what the schemas say against a document."""
    data = forgejo.as_github_reads(document.data) if document.forgejo else document.data
    validator = jsonschema.Draft7Validator(schema("github-actions" if document.is_action else "github-workflows"))
    found = [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(data)]
    return found + (list(forgejo.refused(document.data)) if document.forgejo else [])


@pytest.mark.parametrize("file", [*WORKFLOWS, *ACTIONS], ids=lambda file: "-".join(file.parts[-3:]))
def test_it_follows_its_schema(file: Path) -> None:
    """GitHub's, and for Forgejo what its runner takes besides and instead."""
    assert errors(read(file)) == []


def test_what_renovate_is_told_follows_its_schema() -> None:
    """Misspelt, a key would be passed over."""
    validator = jsonschema.Draft7Validator(schema("renovate"))

    assert [
        error.message for error in validator.iter_errors(json.loads((ROOT / ".github" / "renovate.json").read_text()))
    ] == []


@pytest.mark.parametrize(
    "text",
    [
        "on: push\non: pull_request\njobs: {}\n",
        "jobs:\n  a: &b {runs-on: x}\n  c: *b\n",
        "jobs:\n  a: {<<: {x: 1}, x: 2}\n  1: {}\n",
        "on: [push\n",
        "a: 1\n---\nb: 2\n",
        "a: !!python/object:os.system {}\n",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(text: str) -> None:
    """A key twice, an alias, a key that is a number, two documents, a type of some program's own."""
    with pytest.raises(yaml.YAMLError):
        load(text)


def test_words_stay_words() -> None:
    """`on` is a key, and `yes` a label."""
    assert load("on: yes\nwhen: 2026-11-24\nit: true\n") == {"on": "yes", "when": "2026-11-24", "it": True}


@pytest.mark.parametrize(
    "wrong",
    [
        SMALL.replace("runs-on", "run-on"),
        SMALL.replace("run:", "runs:"),
        SMALL.replace("on: push", "on: pushed"),
        SMALL + "permission: {}\n",
    ],
)
@pytest.mark.parametrize("forge", [".github", ".forgejo"])
def test_a_misspelt_key_is_found(planted: Callable[..., Document], wrong: str, forge: str) -> None:
    """On either forge; the same without the mistake passes."""
    assert errors(planted(SMALL, forge=forge)) == []
    assert errors(planted(wrong, forge=forge)) != []


def test_the_forges_differ(planted: Callable[..., Document]) -> None:
    """A called workflow needs a runner on Forgejo and must not have one on GitHub; some events only one of them has."""
    call = "on: push\njobs: {a: {uses: ./.github/workflows/b.yml}}\n"
    with_runner = call.replace("uses", "runs-on: docker, uses")

    assert errors(planted(call)) == []
    assert errors(planted(with_runner)) != []
    assert errors(planted(call, forge=".forgejo")) != []
    assert errors(planted(with_runner, forge=".forgejo")) == []
    assert errors(planted(SMALL.replace("push", "merge_group"))) == []
    assert errors(planted(SMALL.replace("push", "merge_group"), forge=".forgejo")) == ["on: Forgejo has no merge_group"]
