"""A provider that knows the schema of `hashicorp/kubernetes` and nothing else, for `validate`, `test` and `plan`.

Terraform checks every block, attribute and type against what a provider says of itself, and a test with `mock_provider`
needs no more than that. The real provider says it too, but cannot be had without network; what it says is in
`kubernetes.json`, in the form of `terraform providers schema -json`, for the resources and blocks that we use.

Spoken is version 5 of the plugin protocol, over gRPC on loopback, found by `TF_REATTACH_PROVIDERS`. What is proposed is
planned, and what is planned is so. Not imitated: what the provider checks of values (lengths of names, words that an
attribute takes), and everything that would touch a cluster.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SCHEMA = Path(__file__).parent / "kubernetes.json"
SOURCE = "hashicorp/kubernetes"
NESTING = {"single": 1, "list": 2, "set": 3, "map": 4, "group": 5}


def varint(number: int) -> bytes:
    """Return *number*, not negative, as protocol buffers spell it."""
    spelled = bytearray()
    while number > 0x7F:
        spelled.append(number & 0x7F | 0x80)
        number >>= 7
    spelled.append(number)
    return bytes(spelled)


def field(number: int, value: bytes | str | int) -> bytes:
    """Return one field of a message: a number, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def attribute(name: str, about: Mapping[str, Any]) -> bytes:
    """Return `Schema.Attribute`."""
    kind = json.dumps(about["type"], separators=(",", ":"))
    flags = ((4, "required"), (5, "optional"), (6, "computed"), (7, "sensitive"))
    return field(1, name) + field(2, kind) + b"".join(field(number, 1) for number, flag in flags if about.get(flag))


def nested(name: str, about: Mapping[str, Any]) -> bytes:
    """Return `Schema.NestedBlock`."""
    return (
        field(1, name)
        + field(2, block(about["block"]))
        + field(3, NESTING[about["nesting_mode"]])
        + field(4, about.get("min_items", 0))
        + field(5, about.get("max_items", 0))
    )


def block(about: Mapping[str, Any]) -> bytes:
    """Return `Schema.Block`."""
    return b"".join(field(2, attribute(*item)) for item in sorted(about.get("attributes", {}).items())) + b"".join(
        field(3, nested(*item)) for item in sorted(about.get("block_types", {}).items())
    )


def schema(about: Mapping[str, Any]) -> bytes:
    """Return `Schema`."""
    return field(1, about.get("version", 0)) + field(2, block(about["block"]))


def described() -> bytes:
    """Return `GetProviderSchema.Response` of what `kubernetes.json` holds."""
    (provider,) = json.loads(SCHEMA.read_text())["provider_schemas"].values()
    resources = (
        field(2, field(1, name) + field(2, schema(about)))
        for name, about in sorted(provider["resource_schemas"].items())
    )
    return field(1, schema(provider["provider"])) + b"".join(resources)


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the fields of a message that have a length, with their numbers; the others are passed over."""
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while at < len(message):
        tag = number()
        length = number()
        if tag & 7 == 2:
            yield tag >> 3, message[at : at + length]
            at += length


def echoed(number: int) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    """Return what answers field *number* of the question as field 1: all that a provider without a cluster can say."""
    return lambda request, _context: field(1, dict(fields(request))[number])


def upgraded(request: bytes, _context: grpc.ServicerContext) -> bytes:
    """Answer `UpgradeResourceState`: the state (field 1 of field 3, JSON) is already of this version."""
    return field(1, field(2, dict(fields(dict(fields(request))[3]))[1]))


@contextmanager
def serving() -> Iterator[dict[str, str]]:
    """Serve the provider, and give the variables of the environment with which Terraform finds it."""
    answer = described()
    calls: dict[str, Callable[[bytes, grpc.ServicerContext], bytes]] = {
        "GetSchema": lambda _request, _context: answer,
        "PrepareProviderConfig": echoed(1),
        "ValidateResourceTypeConfig": lambda _request, _context: b"",
        "PlanResourceChange": echoed(3),  # what is proposed
        "ApplyResourceChange": echoed(3),  # what was planned
        "ReadResource": echoed(2),  # what there was
        "UpgradeResourceState": upgraded,
        "Configure": lambda _request, _context: b"",
        "Stop": lambda _request, _context: b"",
    }
    handlers = {name: grpc.unary_unary_rpc_method_handler(call) for name, call in calls.items()}
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tfplugin5.Provider", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    found = {
        "Protocol": "grpc",
        "ProtocolVersion": 5,
        "Pid": os.getpid(),
        "Test": True,
        "Addr": {"Network": "tcp", "String": f"127.0.0.1:{port}"},
    }
    try:
        yield {"TF_REATTACH_PROVIDERS": json.dumps({SOURCE: found})}
    finally:
        server.stop(None).wait()
