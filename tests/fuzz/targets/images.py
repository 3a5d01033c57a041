"""What the job that pushes images reads: descriptors that other jobs wrote, and the event that the runner tells of."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tests.fuzz.mutate import twist_json, twist_pieces
from tests.fuzz.target import Target, hold

from ec_closure.errors import BadInputError
from ec_release.images import descriptor, event
from ec_release.images.descriptor import Descriptor

if TYPE_CHECKING:
    from random import Random

_COMMIT = "0123456789abcdef0123456789abcdef01234567"
_BASES = ("web", "a.b", "x--y", "0", "a__b-image")
_PIECES = (
    b"image-", b".env", b"\n", b"RUN_ATTR=", b"#", b"-image", b".passthru.copyTo", b"IMAGE_NAME=", b"..", b"/", b'"', b"$(id)", b"\0",
    b"github:", b"=", b"\r\n", b"A", b"\xc3\xa4",
)  # fmt: skip


def _make_descriptor(random: Random) -> bytes:
    made = Descriptor(f"{random.choice(_BASES)}-image")
    return made.file_name.encode() + b"\n" + made.encode()


def _twist_descriptor(random: Random, data: bytes) -> bytes:
    return b"".join(twist_pieces(random, re.findall(rb"[a-z0-9]+|.", data, re.DOTALL), _PIECES))


def _read_descriptor(data: bytes) -> None:
    name, _, content = data.partition(b"\n")
    found = descriptor.parse(name.decode(errors="replace"), content)
    hold(found.encode() == content, "a descriptor with another spelling")
    hold(found.file_name.encode() == name, "a descriptor from a file of another name")


def _make_event(random: Random) -> bytes:
    repository = {"full_name": "a/b", "default_branch": "main"}
    head = {"sha": "f" * 40, "repo": random.choice((repository, {"full_name": "x/b"}, None))}
    payload: dict[str, Any] = {
        "repository": repository,
        "pull_request": {"number": random.randrange(1, 99), "head": head},
    }
    return json.dumps(payload).encode()


def _read_event(data: bytes) -> None:
    environ = {"EVENT_NAME": "pull_request", "REPOSITORY": "a/b", "SHA": _COMMIT, "REF": "refs/heads/main"}
    found = event.decode(data, {f"GITHUB_{name}": value for name, value in environ.items()})
    tags = found.tags(_COMMIT)
    hold(tags[0] == f"git-{_COMMIT}", "a tag that does not name the commit")
    hold("latest" not in tags, "a pull request that moves latest")
    hold(found.foreign == (found.refusal() is not None), "a fork that pushes")


IMAGES = (
    Target("image-descriptor", _read_descriptor, _make_descriptor, _twist_descriptor, (BadInputError,), _PIECES),
    Target("runner-event", _read_event, _make_event, twist_json, (BadInputError,)),
)
