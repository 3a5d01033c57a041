"""What a node keeps and what auditors are given: the verifier's memory, and evidence bundles.

Input for the memory that does not begin as its file is taken for the authenticated part, so that damage reaches it, too.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from tests.fuzz.mutate import twist_pieces
from tests.fuzz.target import Target, hold

from ec_closure import archive, evidence
from ec_closure.errors import BadInputError
from ec_verify.memory import contents
from ec_verify.memory.contents import MemoryRefusedError, MemoryUnknownError

if TYPE_CHECKING:
    from random import Random

_KEY = bytes(32)
_SRI = "sha256-" + "A" * 43 + "="
_HEAD = b"ec-verify memory v1\n"
_WORDS = (
    b"ustar\x0000", b"evidence.json", b"report.json", b"trust/root.json", b"manifests/000.zst", b"../", b"\0" * 512, b"00000000000",
    b"77777777777", b"-1", b"\x91", b"\xdf\xff\xff\xff\xff", b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", b"\xc4\xff", b"\xdb\x7f\xff\xff\xff",
)  # fmt: skip


def _memory(data: bytes) -> None:
    if not data.startswith(_HEAD):
        data = _HEAD + hmac.digest(_KEY, _HEAD + data, "sha256") + data
    found = contents.decode(data, _KEY)
    hold(contents.decode(contents.encode(found, _KEY), _KEY) == found, "says something else when it is written again")


def _make_memory(random: Random) -> bytes:
    made = contents.Memory(
        counter=random.randrange(2**53),
        binding=contents.Binding(store="/nix/store", device=1, file_system=2, policy="0" * 64, verifier="0.1.0"),
        clock=contents.Clock(wall=1, since_boot=2, boot_id="b" * 32),
        builds=tuple(
            contents.Built(path="a", nar_hash=_SRI, derivation="b", inputs=bytes(32), built_at=number)
            for number in range(random.randrange(4))
        ),
    )
    whole = contents.encode(made, _KEY)
    return whole if random.random() < 0.2 else whole[len(_HEAD) + 32 :]


def _evidence(data: bytes) -> None:
    members, index = evidence.read(data, what="bundle")
    hold(archive.pack(members) == data, "accepted, but not the archive of its members")
    for line in evidence.disagreements(members, index):
        hold("\n" not in line, "a disagreement of several lines")


def _make_evidence(random: Random) -> bytes:
    members = {
        name: random.randbytes(random.randrange(20))
        for name in ("case.json.zst", "node.pem", "policy.toml", "verify.toml")
    }
    if random.random() < 0.5:
        members["trust/root.json"] = b"{}"
    index = evidence.index_of(members, ())
    return archive.pack({**members, evidence.INDEX: index, evidence.REPORT: b"{}"})


def _twist(random: Random, data: bytes) -> bytes:
    size = 512 if len(data) >= 512 else 1
    return b"".join(twist_pieces(random, [data[at : at + size] for at in range(0, len(data), size)], _WORDS))


MEMORY = Target("memory", _memory, _make_memory, _twist, (MemoryRefusedError, MemoryUnknownError), _WORDS, suite=800)
EVIDENCE = Target("evidence", _evidence, _make_evidence, _twist, (BadInputError,), _WORDS, suite=800)
