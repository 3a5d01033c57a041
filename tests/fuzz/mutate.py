"""Damage: of bytes, of lines, of JSON documents. All of it follows from the random numbers given."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

MAX_LENGTH = 1 << 16
_EDGES = (
    0,
    1,
    7,
    8,
    9,
    127,
    128,
    255,
    256,
    65535,
    1 << 31,
    (1 << 31) - 1,
    1 << 32,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
)
_NUMBERS = (
    b"0",
    b"-1",
    b"1",
    b"00",
    b"1e9",
    b"9007199254740993",
    b"18446744073709551616",
    b"9" * 30,
    b"9" * 5000,
    b"1.5",
)
_DIGITS = re.compile(rb"[0-9]+")
_TEXTS = (
    "", " ", "\n", "\0", "\x1b[2J", "\u202e", "é", "\U0001f600", "\x85", "\u2028", "a" * 300, "/nix/store", "..", "sha256-",
    "/nix/store/" + "0" * 32 + "-a", "https://a.test/", "[", "{", "[" * 40, "\\", '"', "true", "1e400", "\x7f",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**53 + 1, 2**63, 2**64, 10**30, 0.5, -0.0, 1e300, [], {}, [[]], {"": None},
    *_TEXTS,
)  # fmt: skip


def corrupt(random: Random, data: bytes, others: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Return *data* with one kind of damage; *others* are documents to take pieces of."""
    operation = random.choice(_OPERATIONS)
    return operation(random, data, others, words)[:MAX_LENGTH]


def _flip(random: Random, data: bytes, _others: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    if not data:
        return b"\0"
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]


def _set(random: Random, data: bytes, _others: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    return (
        data[:at]
        + random.choice((b"\0", b"\xff", b"\x80", b'"', b"\n", b" ", b"\\", b"/", b"-", b"=", b"("))
        + data[at + 1 :]
    )


def _span(random: Random, data: bytes) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + int(random.expovariate(1 / 12)) + 1)


def _cut(random: Random, data: bytes, _others: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    start, end = _span(random, data)
    return data[:start] + data[end:]


def _truncate(random: Random, data: bytes, _others: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _repeat(random: Random, data: bytes, _others: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    start, end = _span(random, data)
    times = random.choice((1, 1, 2, 3, 30, 1000))
    return data[:end] + data[start:end] * times + data[end:]


def _insert(random: Random, data: bytes, _others: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    at = random.randrange(len(data) + 1)
    word = random.choice(words) if words and random.random() < 0.8 else random.randbytes(random.randrange(1, 5))
    return data[:at] + word + data[at + random.choice((0, 0, len(word))) :]


def _splice(random: Random, data: bytes, others: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    other = random.choice(others) if others else data
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


def _move(random: Random, data: bytes, _others: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    start, end = _span(random, data)
    rest = data[:start] + data[end:]
    at = random.randrange(len(rest) + 1)
    return rest[:at] + data[start:end] + rest[at:]


def _number(random: Random, data: bytes, _others: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    """Change a number: one in digits, or eight or four bytes of a binary one."""
    found = [match.span() for match in _DIGITS.finditer(data)] if random.random() < 0.7 else []
    if found:
        start, end = random.choice(found)
        return data[:start] + random.choice(_NUMBERS) + data[end:]
    size = random.choice((8, 4, 2))
    at = random.randrange(len(data) + 1)
    value = (random.choice(_EDGES) & (1 << size * 8) - 1).to_bytes(size, random.choice(("little", "big")))
    return data[:at] + value + data[at + size :]


_OPERATIONS: tuple[Callable[[Random, bytes, Sequence[bytes], Sequence[bytes]], bytes], ...] = (
    _flip, _set, _cut, _truncate, _repeat, _insert, _splice, _move, _number, _flip, _insert,
)  # fmt: skip


def twist_pieces(random: Random, pieces: list[bytes], more: Sequence[bytes]) -> list[bytes]:
    """Return *pieces* (lines, tokens) with one dropped, doubled, moved, replaced, or one of *more* added."""
    at = random.randrange(len(pieces) + 1)
    match random.randrange(5):
        case 0:
            return pieces[:at] + pieces[at + 1 :]
        case 1:
            return pieces[:at] + pieces[at - 1 : at] * random.choice((1, 1, 2, 200)) + pieces[at:]
        case 2 if pieces:
            moved = list(pieces)
            moved.insert(at, moved.pop(random.randrange(len(moved))))
            return moved
        case 3 if more:
            return [*pieces[:at], random.choice(more), *pieces[at + 1 :]]
        case _:
            return [*pieces[:at], *(random.choice(more) for _ in more[:1]), *pieces[at:]]


def twist_lines(more: Sequence[bytes]) -> Callable[[Random, bytes], bytes]:
    """Return a twist for formats of lines, with *more* lines to put in."""
    return lambda random, data: b"\n".join(twist_pieces(random, data.split(b"\n"), more))


def twist_json(random: Random, data: bytes) -> bytes:
    """Return the JSON document *data* with one place changed; what is none comes back as it was."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return data
    return json.dumps(twist_value(random, document), ensure_ascii=random.random() < 0.5).encode(errors="surrogatepass")


def twist_value(random: Random, document: Any) -> Any:
    """Change one place, chosen on the way down, of what JSON can hold."""
    holder: dict[str, Any] = {"": document}
    here: dict[str, Any] | list[Any] = holder
    while True:
        keys: list[Any] = list(here) if isinstance(here, dict) else list(range(len(here)))
        if not keys:
            break
        key = random.choice(keys)
        below = here[key]
        if isinstance(below, dict | list) and below and random.random() < 0.85:
            here = below
            continue
        _change(random, here, key)
        break
    return holder.get("")


def _change(random: Random, here: Any, key: Any) -> None:
    match random.randrange(6):
        case 0:
            del here[key]
        case 1 if isinstance(here, dict):
            here[random.choice(_TEXTS)] = here[key]
        case 1:
            here.insert(key, here[key])
        case 2 if isinstance(here[key], str) and here[key]:
            text = here[key]
            at = random.randrange(len(text) + 1)
            here[key] = text[:at] + random.choice(_TEXTS) + text[at + random.randrange(2) :]
        case 3 if isinstance(here[key], int):
            here[key] += random.choice((-1, 1, 2**32, -(2**53), 2**64))
        case _:
            here[key] = random.choice(_VALUES)
