"""What `tofu/` says of the application is what the application says of itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.tofu import reference
from tests.tofu.schema import blocks, resources

from runner_dashboard.config import DEFAULT_PATH, Config, ServerTable, variables
from runner_dashboard.identity.roles import Role
from runner_dashboard.web.routes import ROUTES

ROOT = Path(__file__).parents[2]
MODULE = reference.ROOT / reference.MODULE
DOCKERFILE = (ROOT / "app" / "Dockerfile").read_text()


def local(name: str) -> Any:
    """Return a value of main.tf that depends on nothing."""
    (found,) = reference.hcl2.loads((MODULE / "main.tf").read_text())["locals"]
    value = found[name]
    return value.strip('"') if isinstance(value, str) else value


def container() -> dict[str, Any]:
    """Return the container as it is written."""
    (body,) = [body for type_, _, body in resources(MODULE) if type_ == "kubernetes_stateful_set_v1"]
    for name in ("spec", "template", "spec", "container"):
        (body,) = blocks(body)[name]
    return body


def stage(instruction: str) -> str:
    """Return what the last stage of the Dockerfile says after an instruction."""
    (found,) = re.findall(rf"^{instruction} (.+)$", DOCKERFILE.rpartition("\nFROM ")[2], re.MULTILINE)
    return str(found)


def test_the_user_is_the_images() -> None:
    """A number, so that the kubelet can see that it is not root; the group is the same."""
    assert stage("USER") == f"{local('user')}:{local('user')}"


def test_the_port_is_the_images_and_the_applications() -> None:
    """The one that is exposed, probed, and listened on by default."""
    assert stage("EXPOSE") == str(local("port"))
    assert ServerTable().port == local("port")


def test_directories_are_the_images_and_the_applications() -> None:
    """The volume of the image is the state directory, and the configuration is where it is looked for."""
    assert stage("VOLUME") == local("state_directory") == Config().state_dir
    assert str(DEFAULT_PATH.parent) == local("config_directory")
    (written,) = [body for type_, _, body in resources(MODULE) if type_ == "kubernetes_config_map_v1"]
    assert DEFAULT_PATH.name in {key.strip('"') for key in written["data"]}


def test_the_command_is_one_of_the_images_program() -> None:
    """The image's entry point is the program, and the container asks it to serve."""
    assert stage("ENTRYPOINT") == '["runner-dashboard"]'
    assert [argument.strip('"') for argument in container()["args"]] == ["serve"]


def test_variables_of_the_environment_are_read() -> None:
    """Unknown ones stop the application."""
    names = {body["name"].strip('"') for body in blocks(container())["env"]}

    assert names
    assert names <= set(variables())


def test_the_address_is_the_images() -> None:
    """What the image sets in its environment goes before the file, and is the same."""
    assert f"RUNNER_DASHBOARD_SERVER_HOST={local('host')}\n" in DOCKERFILE


@pytest.mark.parametrize("probe", ["startup_probe", "liveness_probe", "readiness_probe"])
def test_probes_ask_what_the_application_answers_to_everybody(probe: str) -> None:
    """The kubelet has no token."""
    (body,) = blocks(container())[probe]
    (asked,) = body["http_get"]
    open_to_all = {spec.path for spec in ROUTES if spec.method == "GET" and spec.role == Role.PUBLIC}

    assert asked["path"].strip('"') in open_to_all


def test_metrics_are_where_prometheus_asks() -> None:
    """And want a token with the scope that the documentation names."""
    (route,) = [spec for spec in ROUTES if spec.path == "/metrics"]

    assert 'path     = "/metrics"' in (MODULE / "monitoring.tf").read_text()
    assert route.scope == "metrics"


def test_a_stop_takes_as_long_as_the_application_says() -> None:
    """The default of this module is the application's."""
    assert f"coalesce(var.settings.server.grace, {ServerTable().grace})" in (MODULE / "configuration.tf").read_text()


def test_the_largest_envelope_is_the_applications() -> None:
    """What the ingress takes by default is what the application takes by default."""
    expected = f"coalesce(var.settings.ingest.max_envelope, {Config().ingest.max_envelope})"

    assert expected in (MODULE / "configuration.tf").read_text()


def test_memory_holds_what_arrives() -> None:
    """The limit is a multiple of the bodies that are held at one time."""
    resources_ = reference.declared((MODULE / "variables.tf").read_text())["resources"]
    (limit,) = re.findall(r'limits .*memory = optional\(string, "(\d+)Gi"\)', resources_)

    assert int(limit) * 1024 >= 4 * Config().ingest.in_flight


def test_every_key_is_offered_set_or_a_secret() -> None:
    """A key of dashboard.toml is the operator's in `settings` or `secret_files`, or the module's own."""
    offered = {f"{table}.{key}" for table, key, _ in reference.configured()}
    settings = (MODULE / "settings.tf").read_text()

    assert offered >= reference.OWN | reference.BY_FILE
    assert {f"{key}_file" for key in reference.BY_FILE} <= offered
    for table, key, type_ in reference.configured():
        if reference.secret(key):
            assert f'"{table}.{key}",' in settings
        elif f"{table}.{key}" not in reference.OWN | reference.BY_FILE:
            assert re.search(rf"^      {key} +?= optional\({re.escape(type_)}\)$", settings, re.MULTILINE), key


@pytest.mark.parametrize(("path", "text"), reference.written().items(), ids=str)
def test_nothing_that_is_written_has_drifted(path: Path, text: str) -> None:
    """`python -m tests.tofu.reference` has nothing to do."""
    assert text == (reference.ROOT / path).read_text()


def test_the_module_configures_no_provider() -> None:
    """Whoever calls it does; a module with its own can be neither looped nor taken away."""
    text = reference.text_of(reference.MODULE, "*.tf")

    assert not re.search(r'^provider "', text, re.MULTILINE)
    assert not re.search(r'^  backend "', text, re.MULTILINE)


def test_versions_of_providers_are_bounded() -> None:
    """Below and above, and the same for module and stack."""
    found = []
    for directory in (reference.MODULE, reference.STACK):
        (terraform,) = reference.hcl2.loads((reference.ROOT / directory / "versions.tf").read_text())["terraform"]
        found.append((terraform["required_version"], terraform["required_providers"]))
        version = terraform["required_providers"][0]["kubernetes"]["version"]
        assert ">=" in version
        assert re.search(r"(^|, )< ", version.strip('"'))

    assert found[0] == found[1]


def test_conditions_of_variables_look_at_nothing_else() -> None:
    """OpenTofu refuses what Terraform takes: a validation that sees another variable or a local value."""
    for name, about in reference.described(reference.text_of(reference.MODULE, "*.tf"), "variable").items():
        for validation in about.get("validation", []):
            seen = re.findall(r"\b(var|local)\.(\w+)", str(validation))
            assert set(seen) <= {("var", name)}, name


def test_every_description_is_a_sentence() -> None:
    """Variables and outputs say what they are."""
    for directory in (reference.MODULE, reference.STACK):
        text = reference.text_of(directory, "*.tf")
        for of in ("variable", "output"):
            for name, about in reference.described(text, of).items():
                assert about["description"].strip('"').endswith((".", ".)")), name


def test_the_application_is_read_and_not_guessed() -> None:
    """The lists that this file compares with are not empty."""
    assert len(variables()) > 10
    assert len(list(reference.configured())) > 10
