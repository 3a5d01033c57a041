"""Attacks on what the verifier remembers: each comes between two runs."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec

from ec_verify.demo.attacks.attack import Attack
from ec_verify.demo.errors import DemoError
from ec_verify.demo.store import Store
from ec_verify.memory.contents import PURPOSE, Memory, decode, encode
from ec_verify.memory.keeper import FILE
from ec_verify.scan.fingerprint import fingerprint
from ec_verify.state import State

if TYPE_CHECKING:
    from ec_verify.demo.node import Node, Result

_KERNEL = "linux-6.12.9"
_HOUR = 3600 * 10**9


def remember(node: Node) -> None:
    """Let the verifier run once, and remember what it saw."""
    result = node.lab.verify(node)
    if result.verdict != "passed":
        raise DemoError("the run before the attack did not pass", place=node.name)


def most_is_unchanged(_node: Node, result: Result) -> str | None:
    """Ask that most was not read again, and that some was."""
    reading = result.report["reading"]
    return None if 0 < reading["read"] < reading["unchanged"] else f"not what a second run reads: {reading}"


def everything_was_read(_node: Node, result: Result) -> str | None:
    """Ask that nothing was taken from memory."""
    unchanged = result.report["reading"]["unchanged"]
    return f"{unchanged} paths were not read" if unchanged else None


def flip(node: Node) -> None:
    """Change one byte of the kernel; size, mode and time stamp are as they were."""
    store = Store(node.root)
    kernel = node.path(_KERNEL)
    image = f"{kernel}/boot/bzImage"
    data = bytearray(store.physical(image).read_bytes())
    data[len(data) // 3] ^= 1
    store.overwrite(image, bytes(data))
    node.attacked = [kernel]


def flip_after_run(node: Node) -> None:
    """Change a byte of what was just found good."""
    remember(node)
    flip(node)


def flip_and_forge(node: Node) -> None:
    """Change a byte, and write into memory how the altered tree looks; the node's key is out of reach."""
    flip_after_run(node)
    _rewrite(node, _with_present_fingerprint(node, _load(node)), secrets.token_bytes(32))


def cut(node: Node) -> None:
    """Leave half of what is remembered."""
    remember(node)
    file = node.state / FILE
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def put_back(node: Node) -> None:
    """Put back what was remembered a run earlier."""
    remember(node)
    old = (node.state / FILE).read_bytes()
    remember(node)
    (node.state / FILE).write_bytes(old)


def set_clock_back(node: Node) -> None:
    """Let the last run have been an hour later than now, as it is once the clock is set back."""
    remember(node)
    memory = _load(node)
    later = msgspec.structs.replace(memory.clock, wall=memory.clock.wall + _HOUR)
    _rewrite(node, msgspec.structs.replace(memory, clock=later), _key(node))


def rot(node: Node) -> None:
    """Change a byte below the file system, when it is the kernel's turn to be read: nothing in it tells of a write."""
    flip_after_run(node)
    _rewrite(node, _with_present_fingerprint(node, _load(node)), _key(node))
    with node.config.open("a") as config:
        config.write("\n[rescan]\nruns = 1\n")


def _key(node: Node) -> bytes:
    return State(node.state).derived_key(PURPOSE)


def _load(node: Node) -> Memory:
    return decode((node.state / FILE).read_bytes(), _key(node))


def _rewrite(node: Node, memory: Memory, key: bytes) -> None:
    (node.state / FILE).write_bytes(encode(memory, key))


def _with_present_fingerprint(node: Node, memory: Memory) -> Memory:
    kernel = node.path(_KERNEL)
    seen = fingerprint(str(node.physical(kernel)))
    if seen is None:
        raise DemoError("the kernel has no fingerprint", place=node.name)
    reads = tuple(
        msgspec.structs.replace(read, fingerprint=seen.digest) if read.path == kernel else read for read in memory.reads
    )
    return msgspec.structs.replace(memory, reads=reads)


ATTACKS = (
    Attack(
        "remembered",
        "Second run",
        "did nothing between two runs",
        remember,
        frozenset(),
        verdict="passed",
        holds=most_is_unchanged,
    ),
    Attack(
        "flip-between-runs",
        "One flipped bit, between two runs",
        "flipped a bit of a kernel that was just found good, and put its time stamp back",
        flip_after_run,
        frozenset({"EV201"}),
    ),
    Attack(
        "memory-forged",
        "Forged memory",
        "flipped a bit, and wrote into the verifier's memory that this is how the kernel was found",
        flip_and_forge,
        frozenset({"EV201", "EV902"}),
        holds=everything_was_read,
    ),
    Attack(
        "memory-cut",
        "Truncated memory",
        "cut off half of what the verifier remembers",
        cut,
        frozenset({"EV902"}),
        verdict="passed",
        on_store=False,
        holds=everything_was_read,
    ),
    Attack(
        "memory-replayed",
        "Old memory put back",
        "put back what the verifier remembered a run earlier",
        put_back,
        frozenset({"EV902"}),
        verdict="passed",
        on_store=False,
        holds=everything_was_read,
    ),
    Attack(
        "clock-set-back",
        "Clock set back",
        "set the clock back between two runs, so that change times can be made to repeat",
        set_clock_back,
        frozenset({"EV903"}),
        verdict="passed",
        on_store=False,
        holds=everything_was_read,
    ),
    Attack(
        "below-the-file-system",
        "Byte changed below the file system",
        "flipped a bit on the block device, where no change time tells of it",
        rot,
        frozenset({"EV201", "EV904"}),
    ),
)
