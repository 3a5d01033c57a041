"""How an image was built, as cosign signs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ec_release.container import provenance
from ec_release.container.errors import BaseError, EventError

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
DIGEST = "sha256:" + "cd" * 32
RUN = {
    "server": "https://github.com", "repository": "every-channel/runner", "ref": "refs/tags/v1.2.3",
    "commit": "0" * 40, "run": "123", "attempt": "2",
}  # fmt: skip


def test_the_predicate_names_source_base_and_builder() -> None:
    """By digest each, and the builder as the certificate of its signature names it."""
    run = provenance.Run(**RUN)
    document = json.loads(provenance.predicate(run, base_name="docker.io/library/python:3", base_digest=DIGEST))

    assert document["buildDefinition"]["resolvedDependencies"] == [
        {"uri": "git+https://github.com/every-channel/runner@refs/tags/v1.2.3", "digest": {"gitCommit": "0" * 40}},
        {"uri": "docker://docker.io/library/python:3", "digest": {"sha256": "cd" * 32}},
    ]
    assert document["runDetails"]["builder"]["id"] == run.identity
    assert document["runDetails"]["metadata"]["invocationId"].endswith("/actions/runs/123/attempts/2")
    assert run.identity == ("https://github.com/every-channel/runner/.github/workflows/container.yml@refs/tags/v1.2.3")


def test_what_it_names_is_there() -> None:
    """The workflow that signs, and the file that is built."""
    assert (ROOT / provenance.WORKFLOW).is_file()
    assert (ROOT / provenance.DOCKERFILE).is_file()


@pytest.mark.parametrize(
    "changed",
    [
        {"server": "http://github.com"},
        {"server": "https://github.com/x"},
        {"repository": "ec-runner"},
        {"repository": "a/b/c"},
        {"ref": "v1.2.3"},
        {"ref": "refs/pull/1/merge"},
        {"ref": "refs/heads/a b"},
        {"commit": "main"},
        {"run": ""},
        {"attempt": "-1"},
    ],
)
def test_a_run_that_cannot_be_is_refused(changed: dict[str, str]) -> None:
    """Nothing of it is quoted into a name that somebody trusts."""
    with pytest.raises(EventError):
        provenance.Run(**{**RUN, **changed})


def test_a_base_without_digest_is_refused() -> None:
    """Then nobody could say what went in."""
    with pytest.raises(BaseError):
        provenance.predicate(provenance.Run(**RUN), base_name="x", base_digest="latest")


def test_the_command_writes_it(command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And tells later steps whom the certificate must name."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    words = [word for name, value in RUN.items() for word in (f"--{name}", value)]
    code, _, err = command(
        "image-provenance", *words, "--dockerfile", ROOT / "app" / "Dockerfile", "--base-digest", DIGEST,
        "--output", tmp_path / "predicate.json",
    )  # fmt: skip

    assert (code, err) == (0, "")
    assert (
        json.loads((tmp_path / "predicate.json").read_text())["buildDefinition"]["buildType"] == provenance.BUILD_TYPE
    )
    assert provenance.Run(**RUN).identity in (tmp_path / "output").read_text()
