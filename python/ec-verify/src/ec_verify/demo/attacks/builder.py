"""Attacks by what a builder does while it is watched: it looks at the clock, calls out, reaches out, takes its time.

Each builder is part of a release that a build machine built, signed and published: the bytes are what was signed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_verify.demo.attacks.attack import Attack, says
from ec_verify.demo.attacks.flake import edit, run_variant
from ec_verify.demo.attacks.rebuild import all_were_built
from ec_verify.demo.attacks.surroundings import nothing_fired, witness
from ec_verify.demo.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ec_verify.demo.node import Node, Result
    from ec_verify.demo.server import Server

_STRAY = "00000000000000000000000000000000-stray"
_OUTPUT = 'version 1.4" > "$out"'
_WORK = 4
_MEGABYTES = 24


def _publish(node: Node, script: str) -> None:
    """Run a release whose publisher's builder ends with *script*."""
    script = script.replace("${", "''${")
    run_variant(node, lambda tree: _append(tree, script))


def _append(tree: Path, script: str) -> None:
    edit(tree / "parts" / "publisher.nix", _OUTPUT, f"{_OUTPUT}\n  {script}")


def tell_time(node: Node) -> None:
    """Let the output hold the time, by which a builder could tell that it is being watched."""
    _publish(node, 'echo "$EPOCHREALTIME" >> "$out"')
    node.attacked = [node.path("publisher-1.4")]


def call(server: Server) -> str:
    """Return the words by which a shell without any program asks *server*."""
    port = server.url.rpartition(":")[2]
    return f"exec 3<>/dev/tcp/127.0.0.1/{port} && printf 'GET /builder HTTP/1.0\\r\\n\\r\\n' >&3 && read -r _ <&3"


def call_out(node: Node) -> None:
    """Let the builder ask a server on this machine, and say in its output whether it came through."""
    _publish(
        node,
        f'if ( {call(node.lab.server)} ) 2> /dev/null; then echo online >> "$out"; else echo offline >> "$out"; fi',
    )


def nobody_called(node: Node, result: Result) -> str | None:
    """Ask that the server was not asked, and that everything was built."""
    if any("/builder" in asked for asked in node.lab.server.asked):
        return "the builder reached the network"
    return all_were_built(node, result)


def reach_out(node: Node) -> None:
    """Let the builder write to the machine, by every name that it might have there."""
    file = witness(node)
    names = (str(file), f"/proc/1/root{file}", f"/proc/self/root{file}", f"/proc/$PPID/root{file}")
    _publish(node, "".join(f'( echo escaped > "{name}" ) 2> /dev/null || true\n  ' for name in names))


def leave_stray(node: Node) -> None:
    """Let the builder leave a file beside its outputs in the store directory."""
    _publish(node, f'( echo stray > "${{out%/*}}/{_STRAY}" ) 2> /dev/null || true')


def no_stray(node: Node, result: Result) -> str | None:
    """Ask that nothing lies in the store directory that was not there."""
    return "the stray is in the store" if (node.root / "nix/store" / _STRAY).exists() else all_were_built(node, result)


def take_time(node: Node) -> None:
    """Let the builder count for seconds, where it is allowed one."""
    work_long(node)
    node.configure(str(node.memory["url"]), rebuild={"timeout": 1})


def work_long(node: Node) -> None:
    """Let the builder count for seconds, where it is allowed an hour."""
    _publish(node, f"while (( SECONDS < {_WORK} )); do :; done")


def fill_disk(node: Node) -> None:
    """Let the output be larger than scratch."""
    write_much(node)
    node.configure(str(node.memory["url"]), rebuild={"scratch": f"tmpfs:{_MEGABYTES - 8}M"})


def write_much(node: Node) -> None:
    """Let the output be large, where scratch is larger."""
    _publish(
        node, f'printf -v blob "%1048576s" ""; for (( i = 0; i < {_MEGABYTES}; i++ )); do echo "$blob"; done >> "$out"'
    )


def lose_output(node: Node) -> None:
    """Remove one of two outputs of a package from disk and database: what is not there, nobody compares."""
    path = node.path("editor-9-doc")
    node.physical(path).unlink()
    with Store(node.root).database() as database:
        chosen = "(select id from ValidPaths where path = ?)"
        database.execute(f"delete from Refs where referrer = {chosen} or reference = {chosen}", (path, path))  # noqa: S608 - a constant
        database.execute("delete from ValidPaths where path = ?", (path,))
    node.attacked = [path]


def _harmless(
    name: str,
    title: str,
    story: str,
    apply: Callable[[Node], None],
    holds: Callable[[Node, Result], str | None] = all_were_built,
) -> Attack:
    return Attack(
        name,
        title,
        story,
        apply,
        frozenset(),
        level="rebuild",
        verdict="passed",
        on_store=False,
        holds=holds,
    )


ATTACKS = (
    Attack(
        "clock-builder",
        "A builder that looks at the clock",
        "lets a builder see by the time that it is being watched",
        tell_time,
        frozenset({"EV501"}),
        level="rebuild",
    ),
    Attack(
        "lost-output",
        "A lost output",
        "removed one of a package's two outputs from disk and database, so that nothing compares it",
        lose_output,
        frozenset({"EV202"}),
        level="rebuild",
    ),
    Attack(
        "slow-builder",
        "A builder that takes its time",
        "lets a builder work longer than it is allowed to",
        take_time,
        frozenset({"EV502"}),
        level="rebuild",
        verdict="undecided",
        on_store=False,
        holds=says("EV502", "timed out"),
    ),
    _harmless("patient-rebuild", "Time enough", "did nothing: a builder takes long, and may", work_long),
    Attack(
        "disk-filler",
        "A builder that fills the disk",
        "lets a builder write more than scratch holds",
        fill_disk,
        frozenset({"EV507"}),
        level="rebuild",
        verdict="undecided",
        on_store=False,
        holds=says("EV507", "scratch had no room left"),
    ),
    _harmless("roomy-rebuild", "Room enough", "did nothing: a builder writes much, and there is room", write_much),
    _harmless("calling-builder", "A builder that calls out", "lets a builder call a server", call_out, nobody_called),
    _harmless(
        "reaching-builder",
        "A builder that reaches out",
        "lets a builder write to the machine through /proc",
        reach_out,
        nothing_fired,
    ),
    _harmless(
        "stray-builder",
        "A builder that leaves something",
        "lets a builder leave a file in the store directory",
        leave_stray,
        no_stray,
    ),
)
