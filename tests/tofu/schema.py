"""`terraform providers schema -json | python -m tests.tofu.schema`: writes `kubernetes.json`, the part that we use.

Kept are the provider's own configuration, the types of resources that the modules have, and of these the blocks that
they have and those that are required, with every attribute. A block that is not kept is a mistake to Terraform: whoever
uses a new one writes the file anew, where the provider can be had.

What is there now is of version 2.38.0, gathered from bindings that were generated from the provider's schema; which
optional attributes are also computed is from its source. `checks.tofu` of the flake asks a newer provider itself.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hcl2

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MODULES = Path(__file__).parents[2] / "tofu" / "modules"
# Of an attribute, without what describes it.
JUDGED = {"type", "required", "optional", "computed", "sensitive"}
TARGET = Path(__file__).parent / "kubernetes.json"


def resources(directory: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield type, name and body of every resource in the module *directory*."""
    for file in sorted(directory.glob("*.tf")):
        for resource in hcl2.loads(file.read_text()).get("resource", []):
            for type_, named in resource.items():
                for name, body in named.items():
                    yield type_.strip('"'), name.strip('"'), body


def blocks(body: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the blocks within a block, by name; what is `dynamic` stands under the name that it makes."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, value in body.items():
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            continue
        for one in value:
            if name == "dynamic":
                for made, about in one.items():
                    found.setdefault(made.strip('"'), []).extend(about["content"])
            else:
                found.setdefault(name, []).append(one)
    return found


def part(block: Mapping[str, Any], bodies: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is kept of the schema of a block that is written as *bodies*."""
    written = [blocks(body) for body in bodies]
    kept = {
        name: about | {"block": part(about["block"], [one for found in written for one in found.get(name, [])])}
        for name, about in block.get("block_types", {}).items()
        if about.get("min_items") or any(name in found for found in written)
    }
    attributes = {
        name: {key: value for key, value in about.items() if key in JUDGED}
        for name, about in block.get("attributes", {}).items()
    }
    return {key: value for key, value in (("attributes", attributes), ("block_types", kept)) if value}


def excerpt(whole: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of what the provider says of itself that the modules use."""
    used: dict[str, list[dict[str, Any]]] = {}
    for module in sorted(MODULES.iterdir()):
        for type_, _, body in resources(module):
            used.setdefault(type_, []).append(body)
    providers = {}
    for name, provider in whole["provider_schemas"].items():
        kept = {
            type_: about | {"block": part(about["block"], used[type_])}
            for type_, about in provider["resource_schemas"].items()
            if type_ in used
        }
        providers[name] = {"provider": provider["provider"], "resource_schemas": kept}
    return {"format_version": whole["format_version"], "provider_schemas": providers}


if __name__ == "__main__":
    TARGET.write_text(json.dumps(excerpt(json.load(sys.stdin)), indent=1, sort_keys=True) + "\n")
