"""A small repository whose release authority is in order, made of texts, and five places to hide something in it."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ec_release.authority import facts, judge
from ec_release.authority.sources import Files

if TYPE_CHECKING:
    from collections.abc import Callable

    from ec_closure.release_gate import Finding, Judgement

NAME = "ghcr.io/${{ github.repository_owner }}/runner-dashboard"
DIGEST = "sha256:" + "0123456789abcdef" * 4
HERE = "# here"

DECLARATION = """\
schema = "ec-runner.release-authority.v1"
repository = "every-channel/runner"
[[surface]]
name = "dockerfile-image"
kind = "dockerfile-image"
role = "authoritative"
source = "app/Dockerfile"
says = "the image"
[[surface]]
name = "nix-image"
kind = "nix-image"
role = "non-authoritative"
source = "nixos/packages/dashboard-image.nix"
attribute = "packages.runner-dashboard-image"
says = "the image by Nix"
[[surface]]
name = "derivation"
kind = "derivation"
role = "internal"
attribute = "packages.runner-dashboard"
says = "the build artifact"
[[surface]]
name = "boot-images"
kind = "boot-image"
role = "authoritative"
says = "what boots"
[dashboard]
authority = "dockerfile-image"
repository = "ghcr.io/{owner}/runner-dashboard"
requires = ["scan", "signature", "verification"]
revisit = ["somebody wants something else"]
[[dashboard.workflow]]
file = ".github/workflows/build-image.yml"
output = "ci"
tags = ["git-*", "edge"]
[[dashboard.workflow]]
file = ".github/workflows/release.yml"
output = "release"
tags = ["v*", "latest"]
[dashboard.install]
stack = "tofu/stacks/runner-dashboard"
variable = "image"
[dashboard.owners]
promotion = "release engineer"
breakage = "dashboard maintainer"
security = "security officer"
[boot_images]
authority = "boot-images"
metadata = []
[[boot_images.workflow]]
file = ".forgejo/workflows/boot-images.yml"
output = "release"
[boot_images.owners]
promotion = "release engineer"
breakage = "image maintainer"
security = "holder of the root keys"
[documents]
authority = "docs/release-authority.md"
overview = "docs/dashboard.md"
container = "docs/container.md"
release = "docs/releasing.md"
images = "RUNNER_IMAGES.md"
onboarding = ["README.md", "docs/deploying.md"]
decisions = ["docs/decisions/0026-a.md", "docs/decisions/0027-b.md"]
[[proposal]]
name = "nix-image-authority"
surfaces = ["nix-image"]
canonical = "nix-image"
transition = "release engineer"
says = "the image that Nix makes is released"
"""

PATH = """\
- uses: actions/checkout@v7
- id: push
  uses: docker/build-push-action@v7
  with:
    file: app/Dockerfile
    push: true
    tags: NAME:TAG
- uses: aquasecurity/trivy-action@v0
  with:
    image-ref: NAME@${{ steps.push.outputs.digest }}
    severity: HIGH,CRITICAL
    exit-code: "1"
- run: cosign sign --yes NAME@${{ steps.push.outputs.digest }}
- run: cosign verify --certificate-identity x NAME@${{ steps.push.outputs.digest }}
""".replace("NAME", NAME)

STORY = "[authority](docs/release-authority.md)\n"
AUTHORITY = """\
app/Dockerfile becomes ghcr.io/{owner}/runner-dashboard by .github/workflows/build-image.yml and
.github/workflows/release.yml; tofu/stacks/runner-dashboard installs it; .forgejo/workflows/boot-images.yml is another
product. 0026-a.md, 0027-b.md. The release engineer, the dashboard maintainer and the security officer answer.
"""


def job(steps: str, *, name: str = "job", permissions: str = "contents: read", extra: str = "") -> str:
    """Return a job of a workflow with *steps*."""
    head = f"{name}:\n  runs-on: ubuntu\n  permissions:\n    {permissions}\n"
    return head + textwrap.indent(extra, "  ") + "  steps:\n" + textwrap.indent(steps, "    ")


def workflow(jobs: str, on: str = "push:\n  branches: [main]") -> str:
    """Return a workflow."""
    return f"on:\n{textwrap.indent(on, '  ')}\npermissions: {{}}\njobs:\n{textwrap.indent(jobs, '  ')}"


def in_order() -> dict[str, str]:
    """Return the texts of a repository that is as it is declared."""
    writes = "packages: write"
    return {
        "docs/release-authority.toml": DECLARATION,
        "docs/release-authority.md": AUTHORITY,
        "docs/dashboard.md": "[authority](release-authority.md)\n",
        "docs/container.md": "[authority](release-authority.md)\n",
        "docs/releasing.md": "[authority](release-authority.md)\n",
        "docs/deploying.md": f"[authority](release-authority.md): image = ghcr.io/OWNER/runner-dashboard@{DIGEST}\n",
        "docs/decisions/0026-a.md": "so\n",
        "docs/decisions/0027-b.md": "so\n",
        "README.md": STORY,
        "RUNNER_IMAGES.md": STORY,
        "app/Dockerfile": "FROM scratch\n",
        "nixos/packages/outputs.nix": "{ inherit (pkgs) runner-dashboard runner-dashboard-image; }\n",
        "nixos/packages/dashboard-image.nix": "{ meta.ci.publish = false; }\n",
        "tofu/stacks/runner-dashboard/variables.tf": 'variable "image" {\n  type = string\n}\n',
        "tofu/stacks/runner-dashboard/main.tf": (
            'module "dashboard" {\n  source = "../../modules/runner-dashboard"\n  image = var.image\n}\n'
        ),
        "tofu/modules/runner-dashboard/variables.tf": (
            'variable "image" {\n  validation {\n    condition = can(regex("@sha256:[0-9a-f]{64}$", var.image))\n'
            '    error_message = "no digest"\n  }\n}\n'
        ),
        ".github/workflows/build-image.yml": workflow(job(PATH.replace("TAG", "edge"), permissions=writes)),
        ".github/workflows/release.yml": workflow(
            job(PATH.replace("TAG", "${{ github.ref_name }}"), permissions=writes), on='push:\n  tags: ["v*"]'
        ),
        ".forgejo/workflows/boot-images.yml": workflow(
            job("- run: nix run .#ec-release -- publish --server x --tag y\n"), on='push:\n  tags: ["boot-v*"]'
        ),
    }


@dataclass
class Repository:
    """Texts by path, which are judged without a disk."""

    texts: dict[str, str] = field(default_factory=in_order)

    def judge(self) -> Judgement:
        """Return what is said of it."""
        return judge.judge(facts.gather(Files({path: text.encode() for path, text in self.texts.items()})))

    def findings(self, code: str = "") -> list[Finding]:
        """Return the findings that fail, or those of one code."""
        return [one for one in self.judge().findings if (one.code == code if code else one.severity == "fail")]

    def line(self, path: str, needle: str = HERE) -> int:
        """Return the line of *path* that holds *needle*."""
        return next(number for number, text in enumerate(self.texts[path].splitlines(), 1) if needle in text)

    def swap(self, path: str, old: str, new: str) -> None:
        """Replace a part of a text, which is there."""
        assert old in self.texts[path]
        self.texts[path] = self.texts[path].replace(old, new)


@dataclass(frozen=True)
class Planted:
    """What is planted: *steps* of a job around one word, in a workflow *file* started by *on*."""

    steps: Callable[[str], str]
    file: str = ".github/workflows/other.yml"
    on: str = "push:\n  branches: [main]"
    permissions: str = "contents: read"


def plain(planted: Planted, word: str, other: str) -> dict[str, str]:
    """Put the word where it is used."""
    del other
    return {planted.file: workflow(job(planted.steps(word), permissions=planted.permissions), planted.on)}


def environment(planted: Planted, word: str, other: str) -> dict[str, str]:
    """Put the word into a variable of the job, which is made of one of the workflow."""
    del other
    # A script finds it in its environment, an action is given it.
    word_there = "${{ env.WORD }}" if "with:" in planted.steps("") else "$WORD"
    jobs = job(planted.steps(word_there), permissions=planted.permissions, extra='env:\n  WORD: "${{ env.OUTER }}"\n')
    return {planted.file: workflow(jobs, planted.on).replace("jobs:\n", f"env:\n  OUTER: {word!r}\njobs:\n", 1)}


def matrix(planted: Planted, word: str, other: str) -> dict[str, str]:
    """Put the word into a matrix, as one of two."""
    extra = f"strategy:\n  matrix:\n    word: [{other!r}]\n    include:\n      - word: {word!r}\n"
    jobs = job(planted.steps("${{ matrix.word }}"), permissions=planted.permissions, extra=extra)
    return {planted.file: workflow(jobs, planted.on)}


def reusable(planted: Planted, word: str, other: str) -> dict[str, str]:
    """Put the steps into a workflow that is called by the repository's name, and hand it the word."""
    inner = ".github/workflows/inner.yml"
    call = (
        f"call:\n  uses: every-channel/runner/{inner}@main\n  with:\n    word: {word!r}\n"
        f"  permissions:\n    {planted.permissions}\n"
    )
    inputs = f"workflow_call:\n  inputs:\n    word:\n      type: string\n      default: {other!r}"
    return {
        planted.file: workflow(call, planted.on),
        inner: workflow(job(planted.steps("${{ inputs.word }}"), permissions=planted.permissions), inputs),
    }


def composite(planted: Planted, word: str, other: str) -> dict[str, str]:
    """Put the steps into a composite action of this repository, and hand it the word."""
    steps = textwrap.indent(planted.steps("${{ inputs.word }}"), "    ").replace("- run:", "- shell: bash\n      run:")
    action = f"inputs:\n  word:\n    default: {other!r}\nruns:\n  using: composite\n  steps:\n{steps}"
    call = f"- uses: ./.github/actions/inner\n  with:\n    word: {word!r}\n"
    return {
        planted.file: workflow(job(call, permissions=planted.permissions), planted.on),
        ".github/actions/inner/action.yml": action,
    }


HIDINGS = {one.__name__: one for one in (plain, environment, matrix, reusable, composite)}
