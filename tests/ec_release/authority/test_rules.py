"""What the repository is held to besides its workflows: declaration, flake, stack, documents, rights, gates."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest
from tests.ec_release.authority.world import DECLARATION, DIGEST, NAME, PATH, job, workflow

from ec_release.authority import declaration
from ec_release.authority.errors import DeclarationError

if TYPE_CHECKING:
    from tests.ec_release.authority.world import Repository

TOML = "docs/release-authority.toml"
BUILD = ".github/workflows/build-image.yml"
OTHER = ".github/workflows/other.yml"
STACK = "tofu/stacks/runner-dashboard"
OTHERS = f"ghcr.io/somebody/runner-dashboard@{DIGEST}"


def found(repository: Repository) -> set[tuple[str, str, int]]:
    """Return what is found, by code, file and line; not what gates make of it."""
    return {(one.code, one.file, one.line) for one in repository.findings() if one.code != "RA601"}


def unmet(repository: Repository, authority: str = "dockerfile-image") -> set[str]:
    """Return the gates that an authority does not meet."""
    judged = next(one for one in repository.judge().authorities if one.name == authority)
    return {gate.gate for gate in judged.gates if not gate.met}


# Declaration and flake


@pytest.mark.parametrize(
    "path",
    [BUILD, "app/Dockerfile", "docs/dashboard.md", "docs/decisions/0026-a.md", ".forgejo/workflows/boot-images.yml"],
)
def test_what_is_declared_is_there(repository: Repository, path: str) -> None:
    """A path that leads nowhere is told by the line that names it."""
    repository.texts.pop(path)

    assert ("RA101", TOML, repository.line(TOML, f'"{path}"')) in found(repository)


def test_a_declared_workflow_publishes(repository: Repository) -> None:
    """One that does something else is told."""
    repository.texts[".forgejo/workflows/boot-images.yml"] = workflow(job("- run: ec-release targets\n"))

    line = repository.line(TOML, '".forgejo/workflows/boot-images.yml"')
    assert found(repository) == {("RA102", TOML, line)}


def test_the_flake_withholds_what_is_not_authoritative(repository: Repository) -> None:
    """`meta.ci.publish` says so in both spellings; what a comment or a text says does not count."""
    path = "nixos/packages/dashboard-image.nix"
    for good in ("{ meta.ci.publish = false; }", "{\n  meta = {\n    ci = { publish = false; };\n  };\n}"):
        repository.texts[path] = good
        assert found(repository) == set()
    for bad, line in (
        ("{\n  meta.ci.publish = true;\n}", 2),
        ("{ }", 1),
        ("# meta.ci.publish = false\n{ }", 1),
        ('{ x = "ci.publish = false"; }', 1),
        ("/* ci.publish = false; */ { }", 1),
        ("{ meta.ci.publish = false;\n  other.meta.ci.publish = x; }", 2),
    ):
        repository.texts[path] = bad
        assert found(repository) == {("RA104", path, line)}


def test_what_the_flake_lets_through_is_published_by_a_push_of_all(repository: Repository) -> None:
    """`ec-release push-images` pushes what is not withheld: the workflow and the source are both named."""
    repository.texts[OTHER] = workflow(
        job("- run: nix run .#ec-release -- push-images x # here\n", permissions="packages: write")
    )
    assert found(repository) == set()

    repository.swap("nixos/packages/dashboard-image.nix", "false", "true")
    assert {code for code, _, _ in found(repository)} == {"RA104", "RA201"}
    assert ("RA201", OTHER, repository.line(OTHER)) in found(repository)


def test_surfaces_and_the_flake_know_each_other(repository: Repository) -> None:
    """An attribute that nothing has, and an image that no surface is."""
    repository.texts["nixos/packages/outputs.nix"] = "{\n  inherit (pkgs) runner-dashboard-image\n    tools-image;\n}\n"

    line = repository.line(TOML, '"packages.runner-dashboard"')
    assert found(repository) == {("RA105", TOML, line), ("RA106", "nixos/packages/outputs.nix", 3)}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('role = "internal"', 'role = "authoritative"', "surfaces call dockerfile-image and derivation authoritative"),
        ('authority = "dockerfile-image"', 'authority = "none-such"', "no surface is called none-such"),
        ('authority = "dockerfile-image"', 'authority = "nix-image"', "surfaces call dockerfile-image authoritative"),
        ('name = "nix-image"\nkind', 'name = "derivation"\nkind', "no surface is called nix-image"),
        ('name = "derivation"', 'name = "nix-image"', "nix-image stands twice"),
        ('tags = ["v*", "latest"]', 'tags = ["v*", "edge"]', "may both write edge"),
        ('tags = ["v*", "latest"]', 'tags = ["git-1*"]', "may both write git-1*"),
        ('tags = ["v*", "latest"]', 'tags = ["*"]', "matching regex"),
        ("release.yml", "build-image.yml", "stands twice"),
        ('promotion = "release engineer"', 'promotion = "a@b.example"', "matching regex"),
        ('source = "app/Dockerfile"', 'source = "../Dockerfile"', "matching regex"),
        ('source = "app/Dockerfile"', 'source = "/Dockerfile"', "matching regex"),
        ("revisit =", "revise =", "revise"),
        ("v1", "v2", "ec-runner.release-authority"),
        ("[dashboard]", "[dashboard", "line 27"),
    ],
)
def test_a_declaration_that_cannot_be_is_refused(old: str, new: str, message: str) -> None:
    """With the place, and where the format is described."""
    assert old in DECLARATION
    with pytest.raises(DeclarationError) as caught:
        declaration.decode(DECLARATION.replace(old, new, 1).encode())
    assert message in str(caught.value)
    assert str(caught.value).startswith(TOML)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("v*", "v1", True),
        ("v1*", "v*", True),
        ("a", "a", True),
        ("a", "b", False),
        ("a*", "b*", False),
        ("a", "a*", True),
    ],
)
def test_patterns_that_meet_are_told(one: str, other: str, both: bool) -> None:  # noqa: FBT001 - a column
    """Whichever way round."""
    assert declaration.overlap(one, other) is both
    assert declaration.overlap(other, one) is both


# Publication


def test_rights_that_are_not_used_are_told(repository: Repository) -> None:
    """`packages: write` where nothing is pushed or signed, also when it comes from the workflow or a caller."""
    repository.texts[OTHER] = workflow(job("- run: echo\n", permissions="packages: write # here"))
    assert found(repository) == {("RA208", OTHER, repository.line(OTHER))}

    repository.texts[OTHER] = "on: push\npermissions: write-all # here\njobs:\n  a:\n    steps:\n      - run: echo\n"
    assert found(repository) == {("RA208", OTHER, 2)}

    inner = ".github/workflows/inner.yml"
    repository.texts[inner] = "on: workflow_call\njobs:\n  a:\n    steps:\n      - run: echo\n"
    repository.texts[OTHER] = workflow(f"a:\n  uses: ./{inner}\n  permissions:\n    packages: write # here\n")
    assert found(repository) == {("RA208", OTHER, repository.line(OTHER))}

    repository.texts[OTHER] = workflow(job("- run: cosign sign ghcr.io/x/y@sha256:1\n", permissions="packages: write"))
    assert found(repository) == set()


def test_a_release_tag_is_one_that_its_events_let_through(repository: Repository) -> None:
    """The name of the ref is a tag `v*` when nothing else starts the workflow; a branch may be called anything."""
    path = ".github/workflows/release.yml"
    repository.swap(path, '["v*"]', '["*"]')
    assert {code for code, _, _ in found(repository)} == {"RA204"}

    repository.swap(path, 'tags: ["*"]', 'tags: ["v*"]\n    branches: [main]')
    assert {code for code, _, _ in found(repository)} == {"RA204"}


def test_two_jobs_of_one_workflow_share_a_name_by_different_tags(repository: Repository) -> None:
    """The same tag from both is told."""
    both = job(PATH.replace("TAG", "edge"), permissions="packages: write")
    two = job(PATH.replace("TAG", "git-${{ github.sha }}"), name="two", permissions="packages: write")
    repository.texts[BUILD] = workflow(both + two)
    assert found(repository) == set()

    repository.swap(BUILD, "git-${{ github.sha }}", "edge")
    assert {code for code, _, _ in found(repository)} == {"RA202"}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (f"image-ref: {NAME}@${{{{ steps.push.outputs.digest }}}}", f"image-ref: {NAME}:edge", "RA301"),
        (f"image-ref: {NAME}@${{{{ steps.push.outputs.digest }}}}", f"image-ref: {NAME}@{DIGEST}", "RA301"),
        ('exit-code: "1"', "format: table", "RA302"),
        ("severity: HIGH,CRITICAL", "severity: LOW", "RA302"),
        ("- uses: aquasecurity", "- continue-on-error: true\n  uses: aquasecurity", "RA302"),
        ("- uses: aquasecurity", "- if: github.actor == 'x'\n  uses: aquasecurity", "RA302"),
        ("- uses: aquasecurity", "- if: false\n  uses: aquasecurity", "RA301"),
        (f"sign --yes {NAME}@${{{{ steps.push.outputs.digest }}}}", f"sign --yes {NAME}:edge", "RA304"),
        (f"sign --yes {NAME}@${{{{ steps.push.outputs.digest }}}}", f"sign --yes {NAME}@{DIGEST}", "RA304"),
        ("- run: cosign sign", "- continue-on-error: ${{ github.x }}\n  run: cosign sign", "RA303"),
        ("cosign verify", "cosign tree", "RA305"),
        ("- run: cosign verify", "- continue-on-error: true\n  run: cosign verify", "RA305"),
    ],
)
def test_what_is_pushed_is_scanned_signed_and_verified(repository: Repository, old: str, new: str, code: str) -> None:
    """By the digest that the push gave out, and the job ends when that fails."""
    old, new = (textwrap.indent(text, "      ").lstrip() for text in (old, new))
    assert code not in {found_code for found_code, _, _ in found(repository)}
    repository.swap(BUILD, old, new)

    assert {(one, file) for one, file, _ in found(repository)} == {(code, BUILD)}
    assert "security-parity" in unmet(repository)


def test_what_was_not_pushed_here_is_scanned_before_it_gets_a_name(repository: Repository) -> None:
    """A digest that a person types may be anything's."""
    steps = f"- run: crane tag {NAME}@${{{{ inputs.digest }}}} latest # here\n"
    repository.texts[".github/workflows/release.yml"] = workflow(
        job(steps, permissions="packages: write"),
        "workflow_dispatch:\n  inputs:\n    digest:\n      type: string",
    )

    assert {code for code, _, _ in found(repository)} >= {"RA301", "RA303", "RA305"}


def test_a_scan_in_another_job_counts(repository: Repository) -> None:
    """The digest is handed on as an output of the job that pushes."""
    push, scan, sign, verify = (
        PATH.replace("TAG", "edge").partition("- uses: aqua")[0],
        *(
            f"- uses: aquasecurity/trivy-action@v0\n  with:\n    image-ref: {NAME}@${{{{ needs.job.outputs.d }}}}\n"
            "    exit-code: 1\n",
            f"- run: cosign sign {NAME}@${{{{ needs.job.outputs.d }}}}\n",
            f"- run: cosign verify {NAME}@${{{{ needs.job.outputs.d }}}}\n",
        ),
    )
    repository.texts[BUILD] = workflow(
        job(push, permissions="packages: write", extra="outputs:\n  d: ${{ steps.push.outputs.digest }}\n")
        + job(scan + sign + verify, name="after", permissions="packages: write", extra="needs: job\n")
    )

    assert found(repository) == set()


def test_each_run_of_a_matrix_is_scanned(repository: Repository) -> None:
    """One combination whose scan passes everything is enough to publish, also when another one's comes after it."""
    steps = PATH.replace("TAG", "edge").replace('"1"', "${{ matrix.code }}")
    for codes in ("['1', '0']", "['0', '1']"):
        extra = f"strategy:\n  matrix:\n    code: {codes}\n"
        repository.texts[BUILD] = workflow(job(steps, permissions="packages: write", extra=extra))

        assert {code for code, _, _ in found(repository)} == {"RA302"}


# Installing


@pytest.mark.parametrize(
    ("path", "old", "new", "code"),
    [
        (f"{STACK}/variables.tf", "type = string", f'default = "{OTHERS}"', "RA401"),
        (f"{STACK}/variables.tf", 'variable "image"', 'variable "picture"', "RA401"),
        (f"{STACK}/main.tf", "image = var.image", "image = local.image", "RA401"),
        (f"{STACK}/main.tf", "image = var.image", f'image = "{OTHERS}"', "RA402"),
        (f"{STACK}/main.tf", "image = var.image", 'image = "ghcr.io/every-channel/runner-dashboard:v1"', "RA403"),
        ("tofu/modules/runner-dashboard/variables.tf", "@sha256:[0-9a-f]{64}", "@", "RA401"),
        ("tofu/modules/runner-dashboard/variables.tf", "var.image))", "var.image)", "RA906"),
    ],
)
def test_the_stack_keeps_the_contract(repository: Repository, path: str, old: str, new: str, code: str) -> None:
    """One variable, without a default, handed on, with a digest demanded, and no other source beside it."""
    repository.swap(path, old, new)

    assert (code, path) in {(one, file) for one, file, _ in found(repository)} or (
        code == "RA401" and code in {one for one, _, _ in found(repository)}
    )
    assert "deployment-consumption" in unmet(repository)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f'image = "{OTHERS}"\n', "RA402"),
        ('image = "ghcr.io/OWNER/runner-dashboard:latest"\n', "RA403"),
        (f'image = "docker.io/OWNER/runner-dashboard@{DIGEST}"\n', "RA402"),
    ],
)
def test_examples_show_the_declared_image(repository: Repository, text: str, code: str) -> None:
    """People copy them."""
    path = f"{STACK}/terraform.tfvars.example"
    repository.texts[path] = f'image = "ghcr.io/OWNER/runner-dashboard@{DIGEST}"\n'
    assert found(repository) == set()

    repository.texts[path] = f"# an example\n{text}"
    assert found(repository) == {(code, path, 2)}


def test_a_validation_may_look_at_a_local_value(repository: Repository) -> None:
    """And a precondition may take its place: OpenTofu's validations see no other variable."""
    repository.texts["tofu/modules/runner-dashboard/variables.tf"] = 'variable "image" {\n}\n'
    repository.texts["tofu/modules/runner-dashboard/main.tf"] = (
        'locals {\n  by_digest = can(regex("@sha256:[0-9a-f]{64}$", var.image))\n}\n'
        'resource "x" "y" {\n  lifecycle {\n    precondition {\n      condition = local.by_digest\n    }\n  }\n}\n'
    )
    assert found(repository) == set()

    repository.swap("tofu/modules/runner-dashboard/main.tf", "local.by_digest", "local.other")
    assert {code for code, _, _ in found(repository)} == {"RA401"}


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (f"- env:\n    TF_VAR_image: {OTHERS}\n  run: tofu apply # here\n", "RA402"),
        ("- run: tofu apply -var=image=ghcr.io/every-channel/runner-dashboard:v1 # here\n", "RA403"),
        (f"- run: kubectl set image statefulset/x c={OTHERS} # here\n", "RA402"),
        ("- run: tofu plan -var image=$IMAGE # here\n", "RA402"),
    ],
)
def test_a_workflow_deploys_the_declared_image(repository: Repository, step: str, code: str) -> None:
    """By its digest, however it reaches the program."""
    repository.texts[OTHER] = workflow(job(step))

    assert found(repository) == {(code, OTHER, repository.line(OTHER))}


# Documents


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"Run `docker run {OTHERS}`.", "RA501"),
        ("The image is quay.io/every-channel/runner-dashboard.", "RA501"),
        ("The image is ghcr.io/every-channel/other/runner-dashboard.", "RA501"),
        ("    image: ghcr.io/every-channel/runner-dashboard:latest", "RA502"),
        ("$ docker pull ghcr.io/OWNER/runner-dashboard:v1.2.3", "RA502"),
        ("$ nix profile install .#runner-dashboard", "RA504"),
        ("$ nix run github:every-channel/runner#runner-dashboard-image.copyTo -- docker://ghcr.io/x/y", "RA504"),
        ("See https://flakehub.com/f/every-channel/runner.", "RA505"),
        ("$ fh add every-channel/runner", "RA505"),
    ],
)
def test_documents_tell_one_story(repository: Repository, line: str, code: str) -> None:
    """A line that names another source, no digest, or what has no authority, is told."""
    repository.texts["docs/dashboard.md"] += f"\nText.\n{line}\n"

    assert found(repository) == {(code, "docs/dashboard.md", 4)}
    assert "documentation-convergence" in unmet(repository)


@pytest.mark.parametrize(
    "line",
    [
        f"$ docker run ghcr.io/OWNER/runner-dashboard@{DIGEST}",
        "The image is `ghcr.io/<owner>/runner-dashboard`, also tagged ghcr.io/every-channel/runner-dashboard:edge.",
        "$ nix run .#runner-dashboard-image.copyTo -- docker://registry.example.org/us/runner-dashboard:x",
        "registry.example.org/every-channel/runner-dashboard:git-0123abc",
        "In tofu/stacks/runner-dashboard and app/src/runner-dashboard.",
        "https://github.com/every-channel/runner/blob/main/docs/runner-dashboard.md",
    ],
)
def test_what_is_the_story_passes(repository: Repository, line: str) -> None:
    """The declared name with anybody's owner, registries that nobody has, and paths that only look alike."""
    repository.texts["docs/dashboard.md"] += f"{line}\n"

    assert found(repository) == set()


def test_documents_lead_to_the_authority(repository: Repository) -> None:
    """Each of those that are declared, and the one that they lead to names what is declared."""
    repository.texts["docs/container.md"] = "nothing\n"
    repository.swap("docs/release-authority.md", "app/Dockerfile", "a Dockerfile")

    assert {(code, file) for code, file, _ in found(repository)} == {
        ("RA503", "docs/container.md"),
        ("RA503", "docs/release-authority.md"),
    }


# Gates


def test_a_proposal_is_measured_and_fails_nothing(repository: Repository) -> None:
    """It meets no gate here, and the repository passes."""
    assert repository.judge().passed
    assert len(unmet(repository, "nix-image-authority")) == 6


def test_an_authority_that_is_changed_too_early_is_told(repository: Repository) -> None:
    """The Nix image is called authoritative, and nothing scans, signs or publishes it."""
    text = repository.texts[TOML]
    text = text.replace(
        'role = "authoritative"\nsource = "app/Dockerfile"', 'role = "non-authoritative"\nsource = "app/Dockerfile"'
    )
    text = text.replace('role = "non-authoritative"\nsource = "nixos', 'role = "authoritative"\nsource = "nixos')
    repository.texts[TOML] = text.replace('authority = "dockerfile-image"', 'authority = "nix-image"')

    codes = {code for code, _, _ in found(repository)}
    assert {"RA602", "RA206", "RA104"} <= codes
    assert "security-parity" in unmet(repository, "nix-image")


@pytest.mark.parametrize(
    ("path", "old", "new", "gate"),
    [
        (TOML, "requires = [", 'requires = ["scan"] #', "none"),
        (TOML, 'security = "security officer"', 'security = "nobody at all"', "security-parity"),
        (TOML, 'promotion = "release engineer"', 'promotion = "nobody at all"', "ownership"),
        (TOML, 'tags = ["v*", "latest"]', 'tags = ["release-*", "latest"]', "publication-parity"),
        (".github/workflows/release.yml", 'push:\n    tags: ["v*"]', "schedule:\n    - cron: x", "publication-parity"),
        (".github/workflows/release.yml", 'push:\n    tags: ["v*"]', "push:", "publication-parity"),
    ],
)
def test_a_gate_rests_on_what_it_says(repository: Repository, path: str, old: str, new: str, gate: str) -> None:
    """Take it away, and that gate is not met."""
    repository.swap(path, old, new)

    assert (gate in unmet(repository)) is (gate != "none")
