"""Holds the namespaces of a ghost store: `python -I -S -B holder.py`, JSON lines on standard input.

It needs nothing but the standard library, and little of that: every ghost waits for it to start. The first line says
how to enter; every further line is a list of steps (mounts, mostly), answered by one line each. When its standard input
ends (because the verifier closed it, or died in whatever way) it exits, and as it is the first process of a PID
namespace the kernel then kills all others in it and drops the mounts.
"""

from __future__ import annotations

import ctypes
import json
import os
import stat
import sys

TYPE_CHECKING = False  # as in typing, which need not be loaded
if TYPE_CHECKING:
    from typing import Any

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC = (
    0x20000, 0x10000000, 0x20000000, 0x40000000, 0x08000000,
)  # fmt: skip
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = (
    1, 2, 4, 8, 32, 4096, 16384, 1 << 18,
)  # fmt: skip

_libc = ctypes.CDLL(None, use_errno=True)


class StepError(Exception):
    """A step failed; the message names it."""


def _check(result: int, what: str) -> None:
    if result != 0:
        raise StepError(f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source: str, target: str, kind: str, flags: int, data: str, what: str) -> None:
    """Mount, or raise a `StepError` that says what for."""
    _check(_libc.mount(source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), data.encode()), what)


def enter_namespaces(*, user: bool) -> None:
    """Leave the host's namespaces; without root, with the rights that a user namespace gives.

    The user keeps their own number inside: Nix treats number 0 as root, which this is not.
    """
    uid, gid = os.getuid(), os.getgid()
    flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | (CLONE_NEWUSER if user else 0)
    _check(_libc.unshare(flags), "unshare")
    if user:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib is slow to load
                file.write(text)
    mount("none", "/", "", MS_REC | MS_PRIVATE, "", "make all mounts private (a chroot must be a mount point)")


def perform(step: dict[str, Any]) -> None:
    """Carry out one step of the specification."""
    match step["do"]:
        case "tmpfs":
            mount("ec-verify", step["at"], "tmpfs", MS_NOSUID | MS_NODEV, f"size={step['size']},mode=0700", "tmpfs")
        case "mkdir":
            os.makedirs(step["at"], mode=step.get("mode", 0o755), exist_ok=True)  # noqa: PTH103 - as above
        case "touch":
            os.close(os.open(step["at"], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        case "remove":
            os.unlink(step["at"])  # noqa: PTH108 - as above
        case "bind":
            mount(step["from"], step["at"], "", MS_BIND | MS_REC, "", f"bind {step['at']}")
        case "whiteout":
            os.mknod(step["at"], 0o600 | stat.S_IFCHR, os.makedev(0, 0))
        case "overlay":
            # Short relative names: option strings know no escapes that all kernels share.
            os.chdir(step["scratch"])
            mount(step["at"], "lower", "", MS_BIND, "", "bind the lower layer")
            options = "lowerdir=lower,upperdir=upper,workdir=work" + step.get("options", "")
            mount("ec-verify", step["at"], "overlay", 0, options, f"overlay over {step['at']}")
            os.chdir("/")
        case "proc":
            mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "", "mount /proc")
        case other:
            raise StepError(f"unknown step {other!r}")


def _read_line() -> bytes:
    # Unbuffered: two processes read from this pipe in turn.
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            break
        line += byte
    return bytes(line)


def _say(message: dict[str, Any]) -> None:
    try:
        os.write(1, json.dumps(message).encode() + b"\n")
    except BrokenPipeError:
        return  # who asked is gone: the next read says so


def _hold() -> None:
    while line := _read_line():
        try:
            for step in json.loads(line):
                perform(step)
        except (StepError, OSError) as error:
            _say({"error": str(error)})
        else:
            _say({"ready": True})


def main() -> int:
    """Read the specification, enter, hold, leave."""
    specification = json.loads(_read_line())
    try:
        enter_namespaces(user=specification["user"])
    except (StepError, OSError) as error:
        _say({"error": str(error)})
        return 1
    child = os.fork()
    if child == 0:
        try:
            _hold()
        finally:
            os._exit(0)
    _say({"pid": child})
    os.waitpid(child, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
