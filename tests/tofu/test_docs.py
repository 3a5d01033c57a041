"""What docs/deploying.md says is typed, applied and found as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import hcl2
import pytest
from tests.tofu import reference

if TYPE_CHECKING:
    from tests.tofu.conftest import Tofu

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "deploying.md").read_text()
EXAMPLE = (reference.ROOT / reference.STACK / "terraform.tfvars.example").read_text()
SNIPPETS = re.findall(r"^```hcl\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
CONSOLE = "\n".join(re.findall(r"^```console\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)).replace("\\\n", " ")


@cache
def help_of(*command: str) -> str:
    """Return what a command says of itself."""
    return subprocess.run([*command, "--help"], check=True, capture_output=True, text=True).stdout


def options(text: str) -> set[str]:
    """Return the long options that stand in a text."""
    return set(re.findall(r"(?<!\S)--[a-z][a-z-]*", text))


def test_variables_that_are_explained_exist() -> None:
    """Those of the table, and those between backticks that are assigned."""
    variables = set(reference.described(reference.text_of(reference.STACK, "variables.tf"), "variable"))
    table = set(re.findall(r"^\| `([a-z_]+)` \| ", TEXT, re.MULTILINE))
    assigned = set(re.findall(r"`([a-z_]+) = ", TEXT))
    words = {name.partition(".")[0] for name in re.findall(r"`((?:ingress|settings|metrics|storage)\.[a-z_.]+)`", TEXT)}

    assert len(table) > 4
    assert table | assigned | words <= variables


def test_the_application_has_the_commands() -> None:
    """Every `runner-dashboard …` that is typed, with its options."""
    program = str(Path(sys.executable).parent / "runner-dashboard")
    typed = re.findall(r"(?<![\w./-])runner-dashboard (backup|restore|token [a-z]+)([^\n`]*)", CONSOLE + TEXT)

    assert {"backup", "restore", "token generate", "token create"} <= {command for command, _ in typed}
    for command, rest in typed:
        known = options(help_of(program, *command.split()))
        assert options(rest.partition(">")[0]) <= known, (command, rest)


def test_the_deployer_has_the_options() -> None:
    """Every `tofu/deploy …` that is typed or spoken of."""
    known = options(help_of(sys.executable, str(ROOT / "tofu" / "deploy")).replace("[", " ").replace("(", " "))
    typed = re.findall(r"^\$ tofu/deploy (.+)$", CONSOLE, re.MULTILINE)

    assert typed
    assert options(" ".join(typed)) | {"--yes"} <= known


def test_the_identity_is_the_workflow_that_signs() -> None:
    """The certificate names the file in which the signing job stands, at the tag of the release."""
    identities = set(re.findall(r"https://github\.com/OWNER/REPOSITORY/(\S+?)@refs/tags/vX\.Y\.Z", TEXT))

    assert len(identities) == 1
    (workflow,) = identities
    assert "cosign sign" in (ROOT / workflow).read_text()
    assert workflow in help_of(sys.executable, str(ROOT / "tofu" / "deploy")).replace("\n", "").replace(" ", "")


def test_secrets_are_called_the_same_everywhere() -> None:
    """What is created is what the examples name, with the key that is the default."""
    created = set(re.findall(r"create secret generic (\S+) --from-file=token", CONSOLE))
    named = set(re.findall(r'name = "([a-z-]+)"', "\n".join([EXAMPLE, *SNIPPETS])))

    assert created == {"runner-dashboard-bootstrap", "runner-dashboard-metrics"}
    assert created <= named


def test_paths_in_the_pod_are_the_modules() -> None:
    """The backup is written where there is a volume."""
    (values,) = hcl2.loads((reference.ROOT / reference.MODULE / "main.tf").read_text())["locals"]
    written = re.findall(r"runner-dashboard backup (\S+)/backup\.sqlite", CONSOLE)

    assert written == [values["state_directory"].strip('"')]


def test_what_must_be_restricted_is_the_modules_label() -> None:
    """A namespace that is made by hand gets the label that the module would give it."""
    (label,) = re.findall(r"kubectl label namespace runner-dashboard (\S+)=restricted", CONSOLE)

    assert f'"{label}" = "restricted"' in (reference.ROOT / reference.MODULE / "main.tf").read_text()


def test_the_claims_address_is_the_one_in_the_state() -> None:
    """Whoever takes it away types it as it is."""
    (address,) = re.findall(r"state\s+rm '(\S+)'", TEXT)
    _, _, type_, name = address.split(".")

    declared = f'resource "{type_}" "{name.removesuffix("[0]")}" {{'
    assert declared in reference.text_of(reference.MODULE, "*.tf").splitlines()


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.split()[0])
def test_what_is_shown_can_be_planned(scratch: Tofu, snippet: str) -> None:
    """Each snippet is laid over the stack's example, whose image has an owner."""
    scratch.initialised(scratch.stack)
    (scratch.stack / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    scratch.run(scratch.stack, "init", "-input=false", "-no-color", "-reconfigure")
    (scratch.stack / "terraform.tfvars").write_text(EXAMPLE.replace("OWNER", "example"))
    (scratch.stack / "snippet.auto.tfvars").write_text(snippet)

    assert "Plan: " in scratch.run(scratch.stack, "plan", "-input=false", "-no-color")


def test_the_example_is_refused_as_it_is(scratch: Tofu) -> None:
    """An owner in capitals is a place to fill in, not an image."""
    scratch.initialised(scratch.stack)
    (scratch.stack / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    scratch.run(scratch.stack, "init", "-input=false", "-no-color", "-reconfigure")
    (scratch.stack / "terraform.tfvars").write_text(EXAMPLE)

    done = scratch.attempt(scratch.stack, "plan", "-input=false", "-no-color")

    assert 1 == done.returncode
    assert "image must be a reference by digest" in " ".join(done.stderr.split())


def test_variables_of_the_example_exist() -> None:
    """And what must be given is in it."""
    variables = reference.described(reference.text_of(reference.STACK, "variables.tf"), "variable")
    given = set(hcl2.loads(EXAMPLE))

    assert given <= set(variables)
    assert {name for name, about in variables.items() if "default" not in about} <= given
