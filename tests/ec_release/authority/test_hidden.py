"""What workflows do is found on the ways that values take, and what cannot be told is said to be so."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest
from tests.ec_release.authority.world import NAME, job, workflow

if TYPE_CHECKING:
    from tests.ec_release.authority.world import Repository

OTHER = ".github/workflows/other.yml"
PUSH = "docker://ghcr.io/every-channel/runner-dashboard:x"


def codes(repository: Repository) -> set[tuple[str, str, int]]:
    """Return what is found, by code, file and line; not what gates make of it."""
    return {(one.code, one.file, one.line) for one in repository.findings() if one.code != "RA601"}


def plant(repository: Repository, steps: str, *, permissions: str = "contents: read", extra: str = "") -> None:
    """Put a workflow with these steps beside the others."""
    repository.texts[OTHER] = workflow(job(textwrap.dedent(steps), permissions=permissions, extra=extra))


@pytest.mark.parametrize(
    "steps",
    [
        "- run: echo 'TOOL=skopeo' >> $GITHUB_ENV\n- run: $TOOL copy oci:x TARGET # here\n",
        '- id: a\n  run: echo "tool=skopeo" >> "$GITHUB_OUTPUT"\n'
        "- run: ${{ steps.a.outputs.tool }} copy oci:x TARGET # here\n",
        "- run: bash -c 'skopeo copy oci:x TARGET' # here\n",
        "- run: sudo env A=b skopeo copy --dest-creds a:b oci:x TARGET # here\n",
        "- run: nix run nixpkgs#skopeo -- copy oci:x TARGET # here\n",
        "- run: nix develop -c skopeo copy oci:x TARGET # here\n",
        "- run: echo $(skopeo copy oci:x TARGET) # here\n",
        "- run: docker run quay.io/skopeo/stable/skopeo:v1 copy oci:x TARGET # here\n",
        "- run: for t in x y; do skopeo copy oci:x ${T:-TARGET}; done # here\n",
        "- run: crane push image.tar TARGET # here\n",
        "- run: oras cp a TARGET # here\n",
        "- run: docker buildx imagetools create -t TARGET a@b # here\n",
        "- run: docker buildx build --output type=registry,name=TARGET . # here\n",
        "- run: docker build --push -t TARGET . # here\n",
        "- run: podman push image TARGET # here\n",
        "- run: buildah push image TARGET # here\n",
        "- run: nix run .#runner-dashboard-image.copyTo -- TARGET # here\n",
        "- uses: redhat-actions/push-to-registry@v2 # here\n  with:\n    registry: ghcr.io/every-channel\n"
        "    image: runner-dashboard\n    tags: x\n",
    ],
)
def test_a_push_is_found_however_it_is_spelt(repository: Repository, steps: str) -> None:
    """By variables and outputs of steps before, in shells and wrappers, by every tool that is known."""
    whole = "skopeo" in steps or "copyTo" in steps
    plant(repository, steps.replace("TARGET", PUSH if whole else PUSH.removeprefix("docker://")))

    found = {(code, line) for code, file, line in codes(repository) if file == OTHER}
    assert {line for _, line in found} == {repository.line(OTHER)}
    assert {code for code, _ in found} & {"RA103", "RA201"}


def test_a_script_of_the_repository_is_read(repository: Repository) -> None:
    """With its arguments, in its line, and with the step that calls it."""
    plant(repository, "- run: ci/push.sh ghcr.io/every-channel/runner-dashboard\n")
    repository.texts["ci/push.sh"] = '#!/bin/sh\nset -eu\nname=$1\ndocker push "$name:x"\n'

    found = repository.findings("RA103")
    assert [(one.file, one.line) for one in found] == [("ci/push.sh", 4)]
    assert found[0].via == (f"{OTHER}:{repository.line(OTHER, 'ci/push.sh')}",)

    repository.swap("ci/push.sh", "push", "inspect")
    assert codes(repository) == set()


def test_scripts_in_a_circle_end(repository: Repository) -> None:
    """What was read with the same arguments is not read again."""
    plant(repository, "- run: ./a.sh\n")
    repository.texts |= {"a.sh": "#!/bin/bash\n./b.sh\n", "b.sh": "#!/bin/bash\n./a.sh\ndocker push ghcr.io/a/b\n"}

    assert {(code, file) for code, file, _ in codes(repository)} == {("RA203", "b.sh")}


def test_a_job_gets_what_another_gives_out(repository: Repository) -> None:
    """Through outputs of jobs and of a reusable workflow."""
    repository.texts[OTHER] = workflow(
        "name:\n  uses: ./.github/workflows/inner.yml\n"
        + job("- run: skopeo copy oci:x docker://${{ needs.name.outputs.target }}:x # here\n", extra="needs: name\n")
    )
    repository.texts[".github/workflows/inner.yml"] = workflow(
        job(
            f"- id: a\n  run: echo 'n={NAME}' >> $GITHUB_OUTPUT\n",
            extra="outputs:\n  n: ${{ steps.a.outputs.n }}\n",
        ),
        "workflow_call:\n  outputs:\n    target:\n      value: ${{ jobs.job.outputs.n }}",
    )

    assert ("RA103", OTHER, repository.line(OTHER)) in codes(repository)


def test_an_anchor_hides_nothing(repository: Repository) -> None:
    """A step that is called by its alias is one more step."""
    plant(repository, "- &step\n  run: echo harmless\n- run: docker push ghcr.io/a/b # here\n- *step\n")

    assert codes(repository) == {("RA203", OTHER, repository.line(OTHER))}


def test_what_never_runs_is_no_publication(repository: Repository) -> None:
    """A condition that is false for certain, of a step or of a job; one that may be true counts."""
    step = "- if: CONDITION\n  run: docker push ghcr.io/a/b\n"
    plant(repository, step.replace("CONDITION", "false"))
    assert codes(repository) == set()
    plant(repository, step.replace("CONDITION", "github.event_name == 'schedule'"))
    assert codes(repository) == set()
    plant(repository, step.replace("CONDITION", "github.event_name == 'push'"))
    assert {code for code, _, _ in codes(repository)} == {"RA203"}
    plant(repository, step.replace("CONDITION", "github.ref == 'refs/heads/main'"))
    assert {code for code, _, _ in codes(repository)} == {"RA203"}


def test_what_a_person_types_may_be_anything(repository: Repository) -> None:
    """A choice is each of its options; a free text cannot be told."""
    on = "workflow_dispatch:\n  inputs:\n    name:\n      type: KIND\n      options: [a, ghcr.io/a/b]\n"
    steps = job("- run: docker push ${{ inputs.name }} # here\n")
    repository.texts[OTHER] = workflow(steps, on.replace("KIND", "choice"))
    assert {code for code, _, _ in codes(repository)} == {"RA203"}

    repository.texts[OTHER] = workflow(steps, on.replace("KIND", "string"))
    assert codes(repository) == {("RA905", OTHER, repository.line(OTHER))}


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ("- run: $TOOL push x # here\n", "RA901"),
        ("- run: docker $VERB ghcr.io/a/b # here\n", "RA901"),
        ("- uses: somebody/does-things@v1 # here\n", "RA901"),
        ("- uses: https://evil.example/actions/checkout@v1 # here\n", "RA901"),
        ("- shell: python\n  run: subprocess.run(['docker', 'push', name]) # here\n", "RA901"),
        ("- uses: actions/github-script@v7 # here\n", "RA901"),
        ("- run: curl https://x.example/install | sh # here\n", "RA901"),
        ("- run: cat names >> $GITHUB_ENV # here\n", "RA901"),
        ("- run: ssh host docker push x # here\n", "RA901"),
        ("- run: nix run .#release-everything # here\n", "RA901"),
        ("- run: docker push # here\n", "RA905"),
        ("- run: docker buildx bake --push # here\n", "RA905"),
        ("- uses: ./.github/actions/none # here\n", "RA904"),
        ("- run: echo ${{ 1 + }}\n", "RA902"),
    ],
)
def test_what_cannot_be_told_is_said(repository: Repository, steps: str, code: str) -> None:
    """Where the job could publish with what it has."""
    plant(repository, steps, permissions="contents: write")

    assert code in {found for found, file, _ in codes(repository) if file == OTHER}
    if "# here" in steps:
        assert (code, OTHER, repository.line(OTHER)) in codes(repository)


@pytest.mark.parametrize("steps", ["- run: $TOOL push x\n", "- uses: somebody/does-things@v1\n"])
def test_what_cannot_be_told_may_be_where_it_can_do_nothing(repository: Repository, steps: str) -> None:
    """A job that can read only publishes nothing; a secret changes that, and so does Forgejo, whose tokens write."""
    plant(repository, steps)
    assert codes(repository) == set()

    plant(repository, f"{steps}  env:\n    X: ${{{{ secrets.REGISTRY }}}}\n")
    assert {code for code, _, _ in codes(repository)} == {"RA901"}

    repository.texts.pop(OTHER)
    repository.texts[".forgejo/workflows/x.yml"] = workflow(job(steps))
    assert {code for code, _, _ in codes(repository)} == {"RA901"}


def test_a_program_of_the_repository_that_mentions_a_push_is_told(repository: Repository) -> None:
    """What is no shell script is searched for what publishes; one that mentions nothing of it is harmless."""
    plant(repository, "- run: python tools/release.py\n", permissions="contents: write")
    repository.texts["tools/release.py"] = "import subprocess\nsubprocess.run(['docker', 'push', 'x'])\n"
    assert codes(repository) == {("RA901", "tools/release.py", 2)}

    repository.texts["tools/release.py"] = "print('docker')\n"
    assert codes(repository) == set()


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("make release", "Makefile"),
        ("just release", "justfile"),
        ("npm run release", "package.json"),
        ("cd ci && ./release.sh", "ci/release.sh"),
        ("cd ci; bash release.sh", "ci/release.sh"),
        ("../release.sh", "ci/release.sh"),
        ("python3 release.py", "ci/release.py"),
    ],
)
def test_what_is_run_from_elsewhere_is_found(repository: Repository, command: str, path: str) -> None:
    """A recipe of a fixed name, and a script that is named from the directory where the step is."""
    plant(repository, f"- run: {command}\n", permissions="contents: write")
    repository.texts[path] = "release:\n\tdocker push ghcr.io/a/b\n"
    assert [(file, line) for _, file, line in codes(repository)] == [(path, 2)]

    repository.texts[path] = "release:\n\techo docker\n"
    assert codes(repository) == set()


@pytest.mark.parametrize(
    "command",
    ["python -m ec_release publish x", "uv run ec-release publish x", ".venv/bin/ec-release publish x",
     "nix run github:every-channel/runner#ec-release -- publish x"],
)  # fmt: skip
def test_our_own_program_is_known_by_every_name(repository: Repository, command: str) -> None:
    """However it is started."""
    plant(repository, f"- run: {command} # here\n")

    assert codes(repository) == {("RA103", OTHER, repository.line(OTHER))}


@pytest.mark.parametrize("path", [".gitlab-ci.yml", "Jenkinsfile", ".woodpecker/x.yml", ".circleci/config.yml"])
def test_a_pipeline_of_another_kind_is_told(repository: Repository, path: str) -> None:
    """It is not read, and could publish anything."""
    repository.texts[path] = "release: docker push\n"

    assert codes(repository) == {("RA901", path, 1)}


def test_workflows_of_others_get_no_rights(repository: Repository) -> None:
    """What they run is not seen from here."""
    call = "call:\n  uses: somebody/else/.github/workflows/x.yml@v1 # here\n  permissions:\n    contents: RIGHT\n"
    repository.texts[OTHER] = workflow(call.replace("RIGHT", "read"))
    assert codes(repository) == set()

    repository.texts[OTHER] = workflow(call.replace("RIGHT", "write"))
    assert codes(repository) == {("RA903", OTHER, repository.line(OTHER))}

    repository.texts[OTHER] = workflow(call.replace("RIGHT", "read") + "  secrets: inherit\n")
    assert codes(repository) == {("RA903", OTHER, repository.line(OTHER))}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("on: push\njobs:\n  a:\n    steps: []\n  a:\n    steps: []\n", 5),
        ("a: &a [*a]\n", 1),
        ("- a\n", 1),
        ("on: push\njobs:\n  a: x\n", 3),
        ("on: push\njobs:\n  a:\n    needs: b\n    steps: []\n  b:\n    needs: a\n    steps: []\n", 3),
        ("on: push\njobs:\n  a:\n    uses: ./.github/workflows/other.yml\n", 4),
    ],
)
def test_a_workflow_that_cannot_be_read_is_told(repository: Repository, text: str, line: int) -> None:
    """With its line: nobody knows what a runner makes of it."""
    repository.texts[OTHER] = text

    assert ("RA902", OTHER, line) in codes(repository)


def test_a_cache_is_told_and_no_publication(repository: Repository) -> None:
    """Nobody installs from it by name."""
    plant(repository, "- run: cachix push mine result # here\n- uses: cachix/cachix-action@v1\n")

    told = [(one.code, one.severity, one.line) for one in repository.judge().findings if one.code == "RA908"]
    assert told == [("RA908", "info", repository.line(OTHER)), ("RA908", "info", repository.line(OTHER) + 1)]
    assert repository.judge().passed


def test_a_workflow_that_only_others_start_is_told(repository: Repository) -> None:
    """It runs for whoever calls it, with their rights."""
    repository.texts[OTHER] = workflow(job("- run: docker push ghcr.io/a/b\n"), "workflow_call:")

    assert [(one.code, one.file) for one in repository.judge().findings] == [("RA909", OTHER)]
