"""The one install contract: what `image` takes is a reference by digest, and nothing that only looks like one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import hcl2
import pytest
from tests.tofu.reference import MODULE, ROOT, STACK, described

if TYPE_CHECKING:
    from tests.tofu.conftest import Tofu

DIGEST = "0123456789abcdef" * 4
TAKEN = (
    f"ghcr.io/example/runner-dashboard@sha256:{DIGEST}",
    f"ghcr.io/example/deeper/runner-dashboard@sha256:{DIGEST}",
    f"registry.example.org:5000/runner__dashboard@sha256:{DIGEST}",
    f"localhost/runner-dashboard@sha256:{DIGEST}",
    f"localhost:5000/runner-dashboard@sha256:{DIGEST}",
)
REFUSED = (
    "",
    "ghcr.io/example/runner-dashboard",
    "ghcr.io/example/runner-dashboard:latest",
    "ghcr.io/example/runner-dashboard:v1.2.3",
    f"ghcr.io/example/runner-dashboard:v1.2.3@sha256:{DIGEST}",
    f"ghcr.io/example/runner-dashboard@sha256:{DIGEST[:-1]}",
    f"ghcr.io/example/runner-dashboard@sha256:{DIGEST}0",
    f"ghcr.io/example/runner-dashboard@sha256:{DIGEST.upper()}",
    f"ghcr.io/example/runner-dashboard@sha512:{DIGEST}",
    f"ghcr.io/example/runner-dashboard@{DIGEST}",
    f"ghcr.io/example/runner-dashboard@sha256:{DIGEST}@sha256:{DIGEST}",
    f"ghcr.io/example/runner-dashboard@sha256:{DIGEST}\n",
    f"ghcr.io/example/runner-dashboard@sha256:{DIGEST}\n:latest",
    f" ghcr.io/example/runner-dashboard@sha256:{DIGEST}",
    f"https://ghcr.io/example/runner-dashboard@sha256:{DIGEST}",
    f"docker://ghcr.io/example/runner-dashboard@sha256:{DIGEST}",
    f"ghcr.io/Example/runner-dashboard@sha256:{DIGEST}",
    f"ghcr.io//runner-dashboard@sha256:{DIGEST}",
    f"ghcr.io/@sha256:{DIGEST}",
    f"example/runner-dashboard@sha256:{DIGEST}",
    f"runner-dashboard@sha256:{DIGEST}",
    f"sha256:{DIGEST}",
)


def judged(tofu: Tofu, image: str) -> bool:
    """Return what the module says of *image*, evaluated by the program itself."""
    (values,) = hcl2.loads((ROOT / MODULE / "main.tf").read_text())["locals"]
    expression = " ".join(values["by_digest"][2:-1].split())
    said = tofu.run(tofu.root, "console", stdin=expression.replace("var.image", json.dumps(image)) + "\n")
    return {"true": True, "false": False}[said.strip()]


@pytest.mark.parametrize("image", TAKEN)
def test_a_reference_by_digest_is_taken(tofu: Tofu, image: str) -> None:
    """With a registry, with or without a port."""
    assert judged(tofu, image)


@pytest.mark.parametrize("image", REFUSED)
def test_anything_else_is_refused(tofu: Tofu, image: str) -> None:
    """Tags, short and long digests, other spellings, and what leaves the registry to whoever pulls."""
    assert not judged(tofu, image)


def test_tags_are_not_taken_by_default() -> None:
    """Neither by the module nor by the stack; and neither has a default image."""
    for directory in (MODULE, STACK):
        variables = described((ROOT / directory / "variables.tf").read_text(), "variable")
        assert variables["allow_mutable_image"]["default"] is False
        assert "default" not in variables["image"]


def test_a_refusal_says_what_to_do(tofu: Tofu) -> None:
    """The operator is told the form, and where to read on."""
    done = tofu.attempt(
        tofu.module, "plan", "-no-color", "-input=false", "-var=image=ghcr.io/example/runner-dashboard:latest",
        "-var=public_url=https://dashboard.example.org",
        '-var=secret_files={"identity.bootstrap_token_file"={name="x"}}',
    )  # fmt: skip

    said = " ".join(done.stderr.replace("│", " ").split())
    assert 1 == done.returncode
    assert "ghcr.io/OWNER/runner-dashboard@sha256:" in said
    assert "docs/deploying.md" in said


def test_the_example_names_the_one_source() -> None:
    """`ghcr.io/OWNER/runner-dashboard` by digest, and no other."""
    example = hcl2.loads((ROOT / STACK / "terraform.tfvars.example").read_text())

    assert example["image"].strip('"') == f"ghcr.io/OWNER/runner-dashboard@sha256:{'0' * 64}"
