"""The description of the API, OpenAPI 3.1, made from the route table and the types of bodies and answers."""

from __future__ import annotations

import inspect
import re
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec

from runner_dashboard.web.respond import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner_dashboard.web.spec import Spec

_TEMPLATE = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"{(\w+)}")
_ENVELOPE = "application/vnd.dsse.envelope+json"
_DESCRIBED = ("api", "node", "ops")
_REPORT = "/api/v1/reports"


def describe(routes: Iterable[Spec]) -> dict[str, Any]:
    """Return the document for what programs may ask in *routes*."""
    chosen = [spec for spec in routes if spec.kind in _DESCRIBED]
    kinds = [kind for spec in chosen for kind in (spec.body, spec.answer) if kind is not None]
    _, components = msgspec.json.schema_components([*dict.fromkeys(kinds), Problem], ref_template=_TEMPLATE)
    for part in components.values():
        # Docstrings become descriptions; which Python compiled them decides whether they are indented.
        part["description"] = inspect.cleandoc(part.get("description", ""))
    paths: dict[str, dict[str, Any]] = {}
    for spec in chosen:
        paths.setdefault(spec.path, {})[spec.method.lower()] = _operation(spec)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "runner-dashboard",
            "version": version("runner-dashboard"),
            "description": "What a fleet of runners proves. Nodes prove who they are by what they sign.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "ecd_…"}},
        },
    }


def _operation(spec: Spec) -> dict[str, Any]:
    needs = f" Needs the role {spec.role.word} and the scope {spec.scope}." if spec.scope else ""
    found: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{spec.method.lower()}{spec.path}").strip("_"),
        "summary": spec.about,
        "description": f"{spec.about}{needs}",
        "security": [{"token": [spec.scope]}] if spec.scope else [],
        "responses": _responses(spec),
    }
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(spec.path)
    ]
    parameters += [
        {"name": one.name, "in": "query", "description": one.about, "schema": {"type": "string"}} for one in spec.query
    ]
    if parameters:
        found["parameters"] = parameters
    if spec.body is not None:
        found["requestBody"] = {"required": True, "content": _json(spec.body)}
    elif spec.media_type != "application/json":
        found["requestBody"] = {
            "required": True,
            "content": {spec.media_type: {"schema": {"type": "string", "contentMediaType": spec.media_type}}},
        }
    elif spec.path == _REPORT:
        found["requestBody"] = {
            "required": True,
            "description": "A DSSE envelope; see docs/report-api.md.",
            "content": {_ENVELOPE: {"schema": {"type": "object"}}},
        }
    return found


def _responses(spec: Spec) -> dict[str, Any]:
    done: dict[str, Any] = {"description": HTTPStatus(spec.status).phrase}
    if spec.answer is not None:
        done["content"] = _json(spec.answer)
    found = {str(spec.status): done}
    if spec.path == _REPORT:
        found["208"] = {"description": "Known already", "content": _json(spec.answer)}
    found["default"] = {"description": "Refused", "content": _json(Problem)}
    return found


def _json(kind: Any) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _TEMPLATE.format(name=kind.__name__)}}}
