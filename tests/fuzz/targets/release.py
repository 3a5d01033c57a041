"""What an auditor reads in a release: bills of materials, provenance, a forge's list, check-sums."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from tests.fuzz.mutate import twist_json, twist_lines, twist_value
from tests.fuzz.target import Target, hold

from ec_closure import manifest
from ec_closure.errors import BadInputError
from ec_closure.hashes import Hash
from ec_release.attesting import cyclonedx, provenance, sbom
from ec_release.audit import contents
from ec_release.audit.download import Files
from ec_release.audit.public import decode_page
from ec_release.closure.lock import Lock, LockedInput

if TYPE_CHECKING:
    from random import Random

_SHAPE = Path(__file__).parents[2] / "ec_closure" / "data" / "example.closure.json"
_DIGESTS = {"disk.img": "1" * 64, "runner.cdx.json": "2" * 64}
_RUN = provenance.Run(repository="https://h/o/r", ref="refs/tags/v1", builder_id="https://h/o/r", tool_version="1")


@cache
def _manifest() -> manifest.Manifest:
    document: Any = msgspec.json.decode(_SHAPE.read_bytes())
    document["source"].pop("lockHash", None)
    return msgspec.convert(document, manifest.Manifest)


@cache
def _bill() -> bytes:
    return cyclonedx.encode(sbom.make(_manifest(), tool_version="1"))


@cache
def _statement() -> bytes:
    locked = tuple(
        LockedInput(name, Hash.parse(entry.nar_hash), entry.store_path)
        for name, entry in sorted(_manifest().source.inputs.items())
    )
    made = provenance.make(_RUN, [_manifest()], Lock(None, locked), _DIGESTS)
    return msgspec.json.encode(made, order="sorted")


def _read_bill(data: bytes) -> None:
    found = cyclonedx.decode(data, what="x")
    hold(cyclonedx.encode(found) == data, "accepted, but not canonical")
    sbom.compare(found, _manifest(), what="x")
    ours = cyclonedx.decode(_bill(), what="x")
    hold(found.dependencies == ours.dependencies, "passes with other dependencies")
    hold(
        [(one.bom_ref, one.hashes) for one in sorted(found.components, key=_ref)]
        == [(one.bom_ref, one.hashes) for one in sorted(ours.components, key=_ref)],
        "passes with other paths or hashes",
    )


def _ref(one: cyclonedx.Component) -> str:
    return str(one.bom_ref)


def _twist_bill(random: Random, data: bytes) -> bytes:
    try:
        return msgspec.json.encode(twist_value(random, msgspec.json.decode(data)), order="sorted") + b"\n"
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return data


def _read_statement(data: bytes) -> None:
    found = provenance.decode(data, what="x")
    provenance.compare(found, [_manifest()], _DIGESTS, what="x")
    hold({one.name: one.digest["sha256"] for one in found.subject} == _DIGESTS, "passes about other files")


def _page(random: Random) -> bytes:
    names = ["disk.img", "SHA256SUMS", "é", ""]
    return msgspec.json.encode(
        [
            {"tag_name": f"v{number}", "draft": False, "assets": [{"id": 1, "name": name} for name in names]}
            for number in range(random.randrange(4))
        ]
    )


def _read_page(data: bytes) -> None:
    for one in decode_page(data):
        hold(len(one.assets) <= 10_000, "more assets than are accepted")


def _sums(random: Random) -> bytes:
    lines = [f"{digest}  {name}\n" for name, digest in _DIGESTS.items()]
    random.shuffle(lines)
    return "".join(lines).encode()


def _read_sums(data: bytes) -> None:
    seen = contents.sums(Files(_DIGESTS, {"SHA256SUMS": data}))
    lines = data.decode(errors="replace").splitlines()
    right = sorted(lines) == sorted(f"{digest}  {name}" for name, digest in _DIGESTS.items())
    hold(right == (not seen.problems), "passes with other lines, or does not with the right ones")


RELEASE = (
    Target("sbom", _read_bill, lambda _: _bill(), _twist_bill, (BadInputError,), (b"{", b"[" * 99, b"null", b"\xff")),
    Target("provenance", _read_statement, lambda _: _statement(), twist_json, (BadInputError,), (b"{", b"[" * 99)),
    Target("release-list", _read_page, _page, twist_json, (BadInputError,), (b"[", b"{", b"null", b'"name":')),
    Target("check-sums", _read_sums, _sums, twist_lines([b"x  y", b"  ", b""]), (BadInputError,), (b"  ", b"\n")),
)
