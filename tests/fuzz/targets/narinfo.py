"""Narinfo files: what is accepted can be written again, and says the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.fuzz.mutate import twist_lines
from tests.fuzz.target import Target, hold

from ec_closure.hashes import Hash
from ec_closure.narinfo import NarInfo, NarInfoError
from ec_closure.signing import Keyring, SecretKey

if TYPE_CHECKING:
    from random import Random

_KEY = SecretKey("cache.test-1", bytes(range(32)))
_KEYS = Keyring([_KEY.public])
_SIGNED: set[bytes] = set()
_LINES = (
    b"Sig: cache.test-1:AAAA", b"Sig: :", b"Sig: cache.test-1:" + b"A" * 86 + b"==", b"NarSize: 0", b"NarSize: -1",
    b"NarHash: sha1:" + b"0" * 32, b"NarHash: sha256:" + b"0" * 52, b"References: ", b"References:", b"Deriver: unknown-deriver",
    b"CA: fixed:r:sha256:" + b"0" * 52, b"Unknown: \xff", b": x", b"StorePath: /nix/store/x", b"Compression: none\r", b"URL:",
    b"NarSize: \xd9\xa3", b"FileSize: " + b"9" * 19, b"References: " + b"0" * 32 + b"-a\xe2\x80\xa8" + b"1" * 32 + b"-b",
)  # fmt: skip


def _read(data: bytes) -> None:
    info = NarInfo.parse(data)
    again = NarInfo.parse(info.render())
    hold(info == again, "says something else when it is written again")
    hold(NarInfo.parse(again.render().encode()) == info, "is read otherwise as bytes")
    fingerprint = info.fingerprint()
    if info.signers(_KEYS):
        hold(fingerprint in _SIGNED, "a signature holds on what was never signed")


def _path(random: Random) -> str:
    return f"{random.choice('0abc') * 32}-{random.choice(('a', 'glibc-2.38', '.x', 'x' * 211))}"


def _make(random: Random) -> bytes:
    size = random.randrange(1, 10**9)
    made = NarInfo(
        store_path=f"/nix/store/{_path(random)}",
        url="nar/x.nar.zst",
        compression=random.choice(("zstd", "none", "bzip2")),
        nar_hash=Hash("sha256", random.randbytes(32)),
        nar_size=size,
        references=tuple(sorted({f"/nix/store/{_path(random)}" for _ in range(random.randrange(4))})),
        file_hash=random.choice((None, Hash("sha256", bytes(32)))),
        file_size=random.choice((None, size)),
        deriver=random.choice((None, f"/nix/store/{'d' * 32}-a.drv")),
        ca=random.choice((None, "fixed:r:sha256:" + "0" * 52)),
    )
    if random.random() < 0.5:
        made = made.sign(_KEY)
        _SIGNED.add(made.fingerprint())
    if random.random() < 0.2:
        made = replace(made, signatures=(*made.signatures, "other-1:" + "A" * 86 + "=="))
    return made.render().encode()


NARINFO = Target(
    "narinfo", _read, _make, twist_lines(_LINES), (NarInfoError,),
    (b": ", b"\n", b" ", b"\r", b"\xc2\x85", b"\xe2\x80\xa8", b"sha256:", b"sha256-", b"/nix/store/", b"References", b"\xff"),
)  # fmt: skip
