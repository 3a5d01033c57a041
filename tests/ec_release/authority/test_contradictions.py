"""Ten things that contradict the declaration, each in plain sight and behind four kinds of indirection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.ec_release.authority import world

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_release.authority.world import Repository


class Case:
    """One contradiction: *bad* is the word that makes it, *good* one that does not, *code* what is found."""

    def __init__(self, code: str, bad: str, good: str, steps: Callable[[str], str], **more: str) -> None:
        self.code, self.bad, self.good = code, bad, good
        self.planted = world.Planted(steps, **more)


NAME, DIGEST = world.NAME, world.DIGEST
ON_PATH = {"file": ".github/workflows/build-image.yml", "permissions": "packages: write"}


def path(
    *, file: str = "app/Dockerfile", tags: str = f"{NAME}:edge", code: str = "1", verb: str = "sign", here: str = "push"
) -> str:
    """Return the steps that build, push, scan, sign and verify; *here* says which is looked for."""
    marks = {name: "  # here" if name == here else "" for name in ("push", "scan")}
    return (
        f"- id: push\n  uses: docker/build-push-action@v7{marks['push']}\n"
        f"  with:\n    file: {file}\n    push: true\n    tags: {tags}\n"
        f"- uses: aquasecurity/trivy-action@v0{marks['scan']}\n"
        f"  with:\n    image-ref: {NAME}@${{{{ steps.push.outputs.digest }}}}\n    exit-code: {code}\n"
        f"- run: cosign {verb} --yes {NAME}@${{{{ steps.push.outputs.digest }}}}\n"
        f"- run: cosign verify {NAME}@${{{{ steps.push.outputs.digest }}}}\n"
    )


def command(text: str) -> Callable[[str], str]:
    """Return a step that runs *text*, in which WORD is put."""
    return lambda word: f"- run: |  # here\n    # what is done:\n    {text.replace('WORD', word)}\n"


CASES = {
    "the image that Nix makes is pushed": Case(
        "RA201",
        "runner-dashboard-image.passthru.copyTo",
        "ec-verify",
        command(f"nix run .#WORD -- docker://{NAME}:edge"),
    ),
    "something is published on FlakeHub": Case(
        "RA205",
        "github:DeterminateSystems/flakehub-push",
        "github:DeterminateSystems/flake-checker",
        command("nix run WORD -- --visibility public --name every-channel/runner"),
    ),
    "a second workflow writes the name": Case(
        "RA202",
        "docker://ghcr.io/every-channel/runner-dashboard:x",
        "oci:layout:x",
        command("skopeo copy docker-archive:image.tar WORD"),
    ),
    "the name is filled from another Dockerfile": Case(
        "RA206", "tools/Dockerfile", "app/Dockerfile", lambda word: path(file=word), **ON_PATH
    ),
    "a scan lets everything pass": Case("RA302", "0", "1", lambda word: path(code=word, here="scan"), **ON_PATH),
    "nothing is signed": Case("RA303", "tree", "sign", lambda word: path(verb=word), **ON_PATH),
    "CI writes the tag of a release": Case(
        "RA204", "latest", "edge", lambda word: path(tags=f"{NAME}:{word}"), **ON_PATH
    ),
    "another image is deployed": Case(
        "RA402",
        f"ghcr.io/somebody/runner-dashboard@{DIGEST}",
        f"ghcr.io/every-channel/runner-dashboard@{DIGEST}",
        command("tofu -chdir=tofu/stacks/runner-dashboard apply -auto-approve -var image=WORD"),
    ),
    "assets go to a release from elsewhere": Case(
        "RA103", "upload", "download", command("gh release WORD v1 image.iso")
    ),
    "nobody can tell the name": Case(
        "RA905", "${{ vars.IMAGE }}", f"{NAME}:edge", lambda word: path(tags=word), **ON_PATH
    ),
    "an image is pushed that nobody declared": Case(
        "RA203", "push", "inspect", command("docker WORD ghcr.io/every-channel/tools:v1")
    ),
}


@pytest.mark.parametrize("hiding", world.HIDINGS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_contradiction_is_found_where_it_stands(repository: Repository, case: Case, hiding: str) -> None:
    """By its code, the file and the line of the step that does it, through whatever it is hidden behind."""
    repository.texts |= world.HIDINGS[hiding](case.planted, case.bad, case.good)
    file = next(path for path, text in repository.texts.items() if world.HERE in text)
    line = repository.line(file) + (2 if "# what is done:" in repository.texts[file] else 0)

    found = repository.findings(case.code)

    assert (file, line) in [(one.file, one.line) for one in found]
    assert {one.file for one in found} == {file}
    assert not repository.judge().passed
    if hiding in ("reusable", "composite"):
        called = repository.line(case.planted.file, "uses: every" if hiding == "reusable" else "uses: ./")
        assert found[0].via == (f"{case.planted.file}:{called}",)


@pytest.mark.parametrize("hiding", world.HIDINGS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_its_harmless_twin_passes(repository: Repository, case: Case, hiding: str) -> None:
    """The same steps in the same place with another word contradict nothing."""
    repository.texts |= world.HIDINGS[hiding](case.planted, case.good, case.good)

    assert repository.findings() == []
    assert repository.judge().passed


def test_the_repository_without_any_passes(repository: Repository) -> None:
    """What is planted into is in order, and the gates of its authority are met."""
    judged = repository.judge()

    assert [one for one in judged.findings if one.severity == "fail"] == []
    assert judged.passed
    assert [(one.name, one.current, one.met) for one in judged.authorities] == [
        ("dockerfile-image", True, True),
        ("nix-image-authority", False, False),
    ]
