"""Derivations: what is accepted is spelt as Nix spells it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.fuzz.mutate import twist_pieces
from tests.fuzz.target import Target, hold

from ec_closure.derivation import Derivation, DerivationError, Output

if TYPE_CHECKING:
    from random import Random

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[A-Za-z]+|.', re.DOTALL)
_NAMES = ("bin", "dev", "lib", "out")
_VALUES = (b"", b"x", b"\xff\xfe", b'"quoted"\\', b"two\nlines\t\r", b"\0", b"a" * 300)
_WORDS = (
    b'"', b"\\", b'\\"', b"\\n", b"\\x", b"\n", b"[", b"]", b"(", b")", b",", b'""', b"Derive(", b"DrvWithVersion(", b'"xp-dyn-drv"',
    b'"r:sha256"', b'"sha256"', b'"impure"', b'"/nix/store/' + b"0" * 32 + b'-a"', b'"//' + b"0" * 32 + b'-a"', b'"out"', b"[" * 200,
)  # fmt: skip


def _read(data: bytes) -> None:
    derivation = Derivation.parse(data)
    hold(derivation.unparse() == data, "accepted, but not spelt as Nix does")
    hold(Derivation.parse(data, "/nix/store") == derivation if b"/nix/store/" in data else True, "depends on the hint")
    for output in derivation.outputs.values():
        try:
            address = output.content_address
        except DerivationError:
            continue
        hold(address is None or derivation.outputs != {}, "an address out of nothing")
    hold(derivation.is_fixed_output in (True, False), "neither fixed nor not")


def _path(random: Random, end: str = "") -> str:
    return f"/nix/store/{random.choice('0123abcd') * 32}-{random.choice(('a', 'b.tar', 'c' * 50))}{end}"


def _output(random: Random) -> Output:
    match random.randrange(6):
        case 0:
            return Output(_path(random), "r:sha256", "0" * 64)
        case 1:
            return Output("", "r:sha256", "")
        case 2:
            return Output(_path(random), "sha1", "0" * 40)
        case 3:
            return Output("", "r:sha256", "impure")
        case _:
            return Output(_path(random))


def _make(random: Random) -> bytes:
    some = random.randrange(4)
    return Derivation(
        outputs={name: _output(random) for name in sorted(random.sample(_NAMES, random.randrange(1, 4)))},
        input_drvs=dict.fromkeys(sorted({_path(random, ".drv") for _ in range(some)}), ("out",)),
        input_srcs=tuple(sorted({_path(random) for _ in range(some)})),
        system=random.choice(("x86_64-linux", "builtin", "\udcff")),
        builder="/bin/sh",
        args=tuple(random.choice(_VALUES) for _ in range(some)),
        env=dict(sorted((random.choice(_VALUES), random.choice(_VALUES)) for _ in range(some))),
        version=random.choice(("", "", "xp-dyn-drv")),
    ).unparse()


def _twist(random: Random, data: bytes) -> bytes:
    return b"".join(twist_pieces(random, _TOKEN.findall(data), _WORDS))


DERIVATION = Target("derivation", _read, _make, _twist, (DerivationError,), _WORDS)
