"""`kubernetes.json` is a part of what the provider says: what we use, whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.tofu.schema import MODULES, TARGET, blocks, excerpt, resources

if TYPE_CHECKING:
    from collections.abc import Mapping

WHOLE: Mapping[str, Any] = {
    "format_version": "1.0",
    "provider_schemas": {
        "example.org/hashicorp/kubernetes": {
            "provider": {"version": 0, "block": {}},
            "resource_schemas": {
                "kubernetes_service_account_v1": {
                    "version": 0,
                    "block": {
                        "attributes": {"id": {"type": "string", "computed": True, "description": "Long."}},
                        "block_types": {
                            "metadata": {"nesting_mode": "list", "min_items": 1, "block": {"attributes": {}}},
                            "image_pull_secret": {"nesting_mode": "set", "block": {}},
                            "unused_but_required": {"nesting_mode": "list", "min_items": 1, "block": {}},
                        },
                    },
                },
                "kubernetes_cluster_role_v1": {"version": 0, "block": {}},
            },
        }
    },
}


def test_what_is_used_or_required_is_kept() -> None:
    """And nothing else: neither other types, nor other blocks, nor descriptions."""
    (provider,) = excerpt(WHOLE)["provider_schemas"].values()

    assert {
        "kubernetes_service_account_v1": {
            "version": 0,
            "block": {
                "attributes": {"id": {"type": "string", "computed": True}},
                "block_types": {
                    "metadata": {"nesting_mode": "list", "min_items": 1, "block": {}},
                    "unused_but_required": {"nesting_mode": "list", "min_items": 1, "block": {}},
                },
            },
        }
    } == provider["resource_schemas"]


def test_the_file_is_its_own_excerpt() -> None:
    """It holds nothing that the modules do not use: taking a part of it takes all of it."""
    kept = json.loads(TARGET.read_text())

    assert kept == excerpt(kept)


def test_every_type_of_the_modules_is_there() -> None:
    """A new resource comes with its schema."""
    (provider,) = json.loads(TARGET.read_text())["provider_schemas"].values()
    used = {type_ for module in MODULES.iterdir() for type_, _, _ in resources(module)}

    assert used == set(provider["resource_schemas"])


def test_dynamic_blocks_stand_under_their_names() -> None:
    """What is made in a loop is a block like any other; lists of values are none."""
    body = {
        "dynamic": [{"toleration": {"for_each": "${var.tolerations}", "content": [{"key": "${toleration.value}"}]}}],
        "metadata": [{"name": "x"}],
        "args": ["serve"],
    }

    assert {"toleration": [{"key": "${toleration.value}"}], "metadata": [{"name": "x"}]} == blocks(body)
