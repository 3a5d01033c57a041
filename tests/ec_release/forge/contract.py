"""What the API's own description says of a request and of its answer; see ``api.json`` for where that comes from."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from jsonschema import Draft4Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

# What any server or proxy may answer, whatever a description lists.
UNDECLARED = frozenset({401, 403, 405, 408, 425, 429, 500, 502, 503, 504, 507})


class ContractError(Exception):
    """A request or an answer is not as described."""


@dataclass(frozen=True)
class Operation:
    """One operation of the description, with the parameters of a request's path and query."""

    described: dict[str, Any]
    path: dict[str, str]
    query: dict[str, str]

    @property
    def name(self) -> str:
        """Its name in the description."""
        return str(self.described["operationId"])


class Contract:
    """Judges requests and answers by the description."""

    def __init__(self) -> None:
        self._api = json.loads((Path(__file__).parent / "api.json").read_text())
        for definition in self._api["definitions"].values():
            if "properties" in definition:
                definition["additionalProperties"] = False
        resource = Resource.from_contents(self._api, default_specification=DRAFT4)
        self._registry: Any = Registry().with_resource("urn:api", resource)
        self._paths = [
            (re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path))), methods)
            for path, methods in self._api["paths"].items()
        ]

    @property
    def base(self) -> str:
        """The path below which the API lies."""
        return str(self._api["basePath"])

    def request(self, method: str, target: str, content_type: str) -> Operation:
        """Return the operation that a request is for. Raises `ContractError` for one that is not described."""
        parts = urlsplit(target)
        for pattern, methods in self._paths:
            match = pattern.fullmatch(parts.path.removeprefix(self.base))
            if match is None:
                continue
            if method.lower() not in methods:
                raise ContractError(f"{method} {parts.path} is not described")
            described = methods[method.lower()]
            path = {name: unquote(value) for name, value in match.groupdict().items()}
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            self._parameters(described, path, query)
            accepted = described.get("consumes", ["application/json"] if method in ("POST", "PATCH") else [])
            if method in ("POST", "PATCH") and content_type.split(";", maxsplit=1)[0] not in accepted:
                raise ContractError(f"{method} {parts.path} takes {accepted}, not {content_type}")
            return Operation(described, path, query)
        raise ContractError(f"{parts.path} is not described")

    def _parameters(self, described: dict[str, Any], path: dict[str, str], query: dict[str, str]) -> None:
        known = {(one["in"], one["name"]): one for one in described.get("parameters", [])}
        for place, given in (("path", path), ("query", query)):
            for name, value in given.items():
                parameter = known.get((place, name))
                if parameter is None:
                    raise ContractError(f"{described['operationId']}: no {place} parameter {name}")
                fitting = {"integer": r"-?[0-9]+", "boolean": "true|false"}.get(parameter["type"], ".*")
                if not re.fullmatch(fitting, value):
                    raise ContractError(f"{described['operationId']}: {name}={value} is no {parameter['type']}")

    def body(self, operation: Operation, body: Any) -> None:
        """Judge the JSON body of a request."""
        schema = next(
            (one["schema"] for one in operation.described.get("parameters", []) if one["in"] == "body"),
            {"type": "null"},
        )
        self._validate(schema, body, operation.name)

    def answer(self, operation: Operation, status: int, body: bytes) -> None:
        """Judge an answer: its status is described, and so is its body."""
        responses = operation.described["responses"]
        if str(status) not in responses:
            if status not in UNDECLARED:
                raise ContractError(f"{operation.name} never answers {status}")
            return
        reference = responses[str(status)]["$ref"].rpartition("/")[2]
        schema = self._api["responses"][reference].get("schema")
        if schema is None:
            if body and reference == "empty":
                raise ContractError(f"{operation.name} answers {status} without a body")
            return
        self._validate(schema, json.loads(body), f"{operation.name} {status}")

    def _validate(self, schema: dict[str, Any], value: Any, what: str) -> None:
        rooted = json.loads(json.dumps(schema).replace('"#/', '"urn:api#/'))
        validator = Draft4Validator(rooted, registry=self._registry, format_checker=FormatChecker())
        for error in validator.iter_errors(value):
            raise ContractError(f"{what}: {error.json_path}: {error.message}")
