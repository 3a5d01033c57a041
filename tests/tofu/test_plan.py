"""What a plan of the module holds: rights, secrets, configuration, ways in and out."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from runner_dashboard.config import Config, decode

if TYPE_CHECKING:
    from tests.tofu.conftest import Tofu

EVERYTHING: dict[str, Any] = {
    "hold_drains": True,
    "image_pull_secrets": ["registry"],
    "metrics": {"namespace": "monitoring", "token_secret": {"name": "dashboard-metrics"}},
    "ingress": {"cluster_issuer": "letsencrypt"},
    "allowed_clients": [{"namespace": "mesh"}],
    "allowed_servers": [{"cidr": "192.0.2.0/24", "ports": [443]}],
    "tolerations": [{"key": "dedicated", "value": "fleet", "effect": "NoSchedule"}],
}
TYPES = {
    "kubernetes_config_map_v1",
    "kubernetes_horizontal_pod_autoscaler_v2",
    "kubernetes_ingress_v1",
    "kubernetes_manifest",
    "kubernetes_namespace_v1",
    "kubernetes_network_policy_v1",
    "kubernetes_persistent_volume_claim_v1",
    "kubernetes_pod_disruption_budget_v1",
    "kubernetes_service_account_v1",
    "kubernetes_service_v1",
    "kubernetes_stateful_set_v1",
}


def resources(plan: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the values of planned resources, by type."""
    found: dict[str, list[dict[str, Any]]] = {}
    for resource in plan["planned_values"]["root_module"]["resources"]:
        found.setdefault(resource["type"], []).append(resource["values"])
    return found


def pod(plan: dict[str, Any]) -> dict[str, Any]:
    """Return the one pod's specification."""
    (stateful_set,) = resources(plan)["kubernetes_stateful_set_v1"]
    template: dict[str, Any] = stateful_set["spec"][0]["template"][0]["spec"][0]
    return template


def configuration(plan: dict[str, Any]) -> Config:
    """Return what the application reads of the configuration that is mounted."""
    (config_map,) = resources(plan)["kubernetes_config_map_v1"]
    return decode(config_map["data"]["dashboard.toml"].encode())


@pytest.fixture(scope="module")
def least(tofu: Tofu) -> dict[str, Any]:
    """Return the plan of what must be given, and nothing else."""
    return tofu.planned()


@pytest.fixture(scope="module")
def most(tofu: Tofu) -> dict[str, Any]:
    """Return the plan with everything switched on."""
    return tofu.planned(**EVERYTHING)


@pytest.fixture(scope="module")
def shared(tofu: Tofu) -> dict[str, Any]:
    """Return the plan of several pods behind PostgreSQL, with everything switched on."""
    files = {
        "identity.bootstrap_token_file": {"name": "dashboard-bootstrap"},
        "database.url_file": {"name": "dashboard-database"},
    }
    return tofu.planned(**EVERYTHING, secret_files=files, autoscaling={})


def test_nothing_has_rights(most: dict[str, Any], shared: dict[str, Any]) -> None:
    """No role, no binding, no secret: the types of resources are these, whatever is switched on."""
    assert set(resources(most)) == TYPES - {"kubernetes_horizontal_pod_autoscaler_v2"}
    assert set(resources(shared)) == TYPES - {"kubernetes_persistent_volume_claim_v1"}
    (account,) = resources(most)["kubernetes_service_account_v1"]
    assert account["automount_service_account_token"] is False
    assert pod(most)["automount_service_account_token"] is False


def test_no_secret_is_read(most: dict[str, Any]) -> None:
    """There is no data source, so that no secret can come into a state; names alone are known."""
    module = most["configuration"]["root_module"]

    assert not [one for one in module["resources"] if one["mode"] != "managed"]
    assert not [name for name, about in module["variables"].items() if about.get("sensitive")]


def test_every_object_is_in_the_namespace_and_labelled(most: dict[str, Any]) -> None:
    """So that what belongs to it can be found, and nothing lies elsewhere."""
    for type_, found in resources(most).items():
        for values in found:
            metadata = values["manifest"]["metadata"] if type_ == "kubernetes_manifest" else values["metadata"][0]
            assert metadata["labels"]["app.kubernetes.io/name"] == "runner-dashboard"
            place = metadata["name"] if type_ == "kubernetes_namespace_v1" else metadata["namespace"]
            assert place == "runner-dashboard", type_


def test_the_pod_keeps_to_the_restricted_standard(most: dict[str, Any]) -> None:
    """Pod Security Standards, `restricted`, as Kubernetes 1.33 lists its controls."""
    spec = pod(most)
    (container,) = spec["container"]
    (context,) = container["security_context"]

    assert not any(spec.get(key) for key in ("host_network", "host_pid", "host_ipc"))
    assert spec.get("init_container") in (None, [])
    assert spec["security_context"][0]["run_as_non_root"] is True
    assert spec["security_context"][0]["run_as_user"] not in (None, "0")
    assert spec["security_context"][0]["seccomp_profile"][0]["type"] == "RuntimeDefault"
    assert context["allow_privilege_escalation"] is False
    assert context["privileged"] is False
    assert context["read_only_root_filesystem"] is True
    assert context["capabilities"][0]["drop"] == ["ALL"]
    assert not context["capabilities"][0].get("add")
    assert not any(port.get("host_port") for port in container["port"])
    kinds = {kind for volume in spec["volume"] for kind, value in volume.items() if kind != "name" and value}
    assert kinds == {"persistent_volume_claim", "config_map", "projected", "empty_dir"}


def test_what_is_mounted_exists(most: dict[str, Any]) -> None:
    """Every mount has a volume and every volume a mount; what is not state is read-only or bounded."""
    spec = pod(most)
    mounts = {mount["name"]: mount for mount in spec["container"][0]["volume_mount"]}

    assert set(mounts) == {volume["name"] for volume in spec["volume"]}
    assert {name for name, mount in mounts.items() if not mount["read_only"]} == {"state", "temporary"}
    (temporary,) = [volume for volume in spec["volume"] if volume["name"] == "temporary"]
    assert temporary["empty_dir"][0]["size_limit"]


def test_services_and_policies_select_the_pod(most: dict[str, Any]) -> None:
    """By labels that the pod has, and that do not change."""
    (stateful_set,) = resources(most)["kubernetes_stateful_set_v1"]
    labels = stateful_set["spec"][0]["template"][0]["metadata"][0]["labels"]
    found = resources(most)
    (monitor,) = [
        one["manifest"] for one in found["kubernetes_manifest"] if one["manifest"]["kind"] == "ServiceMonitor"
    ]
    selectors = [
        stateful_set["spec"][0]["selector"][0]["match_labels"],
        found["kubernetes_service_v1"][0]["spec"][0]["selector"],
        found["kubernetes_network_policy_v1"][0]["spec"][0]["pod_selector"][0]["match_labels"],
        found["kubernetes_pod_disruption_budget_v1"][0]["spec"][0]["selector"][0]["match_labels"],
        monitor["spec"]["selector"]["matchLabels"],
    ]

    assert len({json.dumps(selector, sort_keys=True) for selector in selectors}) == 1
    assert selectors[0].items() <= labels.items()


def test_the_application_takes_its_configuration(least: dict[str, Any]) -> None:
    """What is mounted is read by the application's own reader, and deserves no second look."""
    found = configuration(least)

    assert found.server.public_url == "https://dashboard.example.org"
    assert found.secure
    assert found.remarks() == []
    assert found.state_dir == "/var/lib/runner-dashboard"


def test_what_is_not_given_keeps_the_applications_default(least: dict[str, Any]) -> None:
    """Only what the module must know itself is written, and it is what the application would have taken."""
    found, default = configuration(least), Config()

    assert (found.fleet, found.log, found.ingest, found.database) == (
        default.fleet, default.log, default.ingest, default.database,
    )  # fmt: skip
    assert found.server.grace == default.server.grace
    assert found.identity.session_lifetime == default.identity.session_lifetime


def test_what_is_given_is_what_the_application_reads(tofu: Tofu) -> None:
    """Numbers, words and truth values, and nobody's text can begin another table."""
    plan = tofu.planned(
        settings={
            "server": {"grace": 45},
            "database": {"migrate": False},
            "fleet": {"silent_after": 3600},
            "log": {"level": "debug"},
        }
    )

    found = configuration(plan)
    assert (found.server.grace, found.database.migrate, found.fleet.silent_after, found.log.level) == (
        45, False, 3600, "debug",
    )  # fmt: skip


def test_people_can_sign_in_elsewhere(tofu: Tofu) -> None:
    """Lists, addresses and the file of a second secret: the application sees no contradiction."""
    plan = tofu.planned(
        settings={
            "sign_in": {
                "kind": "oidc",
                "issuer": "https://forge.example.org",
                "client_id": "x",
                "admins": ["ada", 'o"n'],
            },
            "proxy": {"networks": ["192.0.2.0/24"]},
        },
        secret_files={
            "identity.bootstrap_token_file": {"name": "dashboard-bootstrap"},
            "sign_in.client_secret_file": {"name": "dashboard-oidc", "key": "secret"},
        },
        allowed_servers=[{"cidr": "198.51.100.7/32", "ports": [443]}],
    )

    found = configuration(plan)
    assert found.remarks() == []
    assert found.sign_in.admins == ("ada", 'o"n')
    assert found.sign_in.scopes == Config().sign_in.scopes
    assert found.proxy.networks == ("192.0.2.0/24",)
    (mount,) = [mount for mount in pod(plan)["container"][0]["volume_mount"] if mount["name"] == "secrets"]
    assert found.sign_in.client_secret_file == f"{mount['mount_path']}/sign_in.client_secret_file"
    (secrets,) = [volume for volume in pod(plan)["volume"] if volume["name"] == "secrets"]
    assert ["dashboard-bootstrap", "dashboard-oidc"] == [
        source["secret"][0]["name"] for source in secrets["projected"][0]["sources"]
    ]


def test_text_that_is_meant_to_break_out_stays_text(tofu: Tofu) -> None:
    """A value with quotes and line ends is one value: it is refused as a level, and is nothing else."""
    plan = tofu.planned(settings={"log": {"level": 'info"\n[server]\nhost = "evil'}})
    (config_map,) = resources(plan)["kubernetes_config_map_v1"]

    with pytest.raises(Exception, match=re.escape("log.level")):
        decode(config_map["data"]["dashboard.toml"].encode())


def test_every_file_with_a_secret_is_mounted_where_the_application_looks(least: dict[str, Any]) -> None:
    """The path in dashboard.toml is the mount with the projected path."""
    (secrets,) = [volume for volume in pod(least)["volume"] if volume["name"] == "secrets"]
    (mount,) = [mount for mount in pod(least)["container"][0]["volume_mount"] if mount["name"] == "secrets"]
    (source,) = secrets["projected"][0]["sources"]
    path = f"{mount['mount_path']}/{source['secret'][0]['items'][0]['path']}"

    assert configuration(least).identity.bootstrap_token_file == path
    assert secrets["projected"][0]["default_mode"] == "0440"
    assert pod(least)["security_context"][0]["fs_group"] == pod(least)["security_context"][0]["run_as_user"]


def test_several_write_nowhere_but_to_their_database(shared: dict[str, Any]) -> None:
    """The application takes PostgreSQL from the file, and the pod has nothing to keep."""
    found = configuration(shared)
    mounts = {mount["name"]: mount for mount in pod(shared)["container"][0]["volume_mount"]}

    assert found.database.url_file.endswith("/database.url_file")
    assert found.database.file == ""
    volumes = {volume["name"]: volume for volume in pod(shared)["volume"]}
    writable = {name for name, mount in mounts.items() if not mount["read_only"]}
    assert all(volumes[name]["empty_dir"] for name in writable)
    assert writable == {"state", "temporary"}


def test_the_claim_is_not_deleted_with_the_rest(tofu: Tofu) -> None:
    """A plan that would destroy the volume fails."""
    text = (tofu.module / "storage.tf").read_text()

    assert re.search(r"lifecycle \{[^}]*prevent_destroy = true", text)
