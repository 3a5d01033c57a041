"""Closure manifests: the compressed frame and the document in it. What is accepted is canonical and within its limits.

Input that is no zstd frame is taken for the document, so that damage reaches it, too.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import zstandard
from tests.fuzz.mutate import twist_value
from tests.fuzz.target import Target, hold

from ec_closure import canonical, manifest
from ec_closure.errors import BadInputError

if TYPE_CHECKING:
    from random import Random

_MAGIC = b"\x28\xb5\x2f\xfd"
_FRAME = zstandard.ZstdCompressor(level=1, write_content_size=True)
_SHAPE = Path(__file__).parents[2] / "ec_closure" / "data" / "example.closure.json"


def _read(data: bytes) -> None:
    found = manifest.decode(data if data.startswith(_MAGIC) else _FRAME.compress(data))
    hold(len(found.paths) + len(found.contents) <= 500_000, "more paths than are accepted")
    again = manifest.encode(found)
    hold(manifest.decode(again) == found, "says something else when it is written again")
    if not data.startswith(_MAGIC):
        hold(canonical.encode(found) == data, "accepted, but not canonical")
    for record in (*found.paths, *found.contents):
        hold(len(found.references_of(record)) == len(record.references), "a reference leads nowhere")
    hold(found.system.out_path in found.index(), "the system is not among its paths")


@cache
def _example() -> bytes:
    return _SHAPE.read_bytes()


def _make(random: Random) -> bytes:
    document: dict[str, Any] = msgspec.json.decode(_example())
    document["release"]["version"] = random.randrange(1, 2**53)
    if random.random() < 0.5:
        for part in ("artifacts", "boot", "contents"):
            if random.random() < 0.5:
                document.pop(part)
    document["paths"][0]["narSize"] = random.randrange(2**40)
    raw = _spell(document)
    return canonical.compress(raw) if random.random() < 0.3 else raw


def _spell(document: Any) -> bytes:
    return msgspec.json.encode(document, order="sorted") + b"\n"


def _twist(random: Random, data: bytes) -> bytes:
    try:
        raw = zstandard.ZstdDecompressor().decompress(data) if data.startswith(_MAGIC) else data
        twisted = _spell(twist_value(random, msgspec.json.decode(raw)))
    except (zstandard.ZstdError, msgspec.MsgspecError, ValueError, OverflowError, RecursionError, MemoryError):
        return data
    return _FRAME.compress(twisted) if data.startswith(_MAGIC) else twisted


MANIFEST = Target(
    "manifest", _read, _make, _twist, (BadInputError,),
    (
        b"{", b"}", b"[" * 2000, b"[]", b",", b'":', b'"references":[0]', b'"references":[-1]', b"null", b"\\u0000", b"\xff", b"1e5", b" ",
        _MAGIC, b"\xff\xff\xff\xff\xff\xff\xff\x7f", bytes.fromhex("28b52ffda00000002001000061"),
    ),
)  # fmt: skip
