"""Attacks on what lies in a store path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_verify.demo.attacks.attack import Attack
from ec_verify.demo.store import Store

if TYPE_CHECKING:
    from ec_verify.demo.node import Node

BACK_DOOR = b"; and a back door"


def flip(node: Node) -> None:
    """Change one bit of the kernel."""
    store = Store(node.root)
    kernel = node.path("linux-6.12.9")
    image = f"{kernel}/boot/bzImage"
    data = bytearray(store.physical(image).read_bytes())
    data[len(data) // 2] ^= 1
    store.overwrite(image, bytes(data))
    node.attacked = [kernel]


def replace_with_row(node: Node, path: str) -> None:
    """Replace the content of a single-file path, and make the database agree."""
    store = Store(node.root)
    store.overwrite(path, store.physical(path).read_bytes() + BACK_DOOR)
    store.rewrite_row(path)
    node.attacked = [path]


def replace_content_addressed(node: Node, path: str) -> None:
    """Replace the end of a single-file path whose name is its hash, and make the database agree.

    Its size stays: of what is larger than signed, no more is read than shows that, and no hash is held to the name.
    """
    store = Store(node.root)
    store.overwrite(path, store.physical(path).read_bytes()[: -len(BACK_DOOR)] + BACK_DOOR)
    store.rewrite_row(path)
    node.attacked = [path]


def retarget(node: Node) -> None:
    """Point the publisher's name on the search path at another program."""
    store = Store(node.root)
    path = node.path("system-path")
    with store.thawed(f"{path}/sw/bin/publisher") as link:
        link.unlink()
        link.symlink_to(node.path("editor-9"))
    node.attacked = [path]


def add_file(node: Node) -> None:
    """Put a file into a path of the closure."""
    store = Store(node.root)
    path = node.path("linux-6.12.9-modules")
    with store.thawed(f"{path}/lib/modules/6.12.9/backdoor.ko") as file:
        file.write_bytes(b"module backdoor")
        file.chmod(0o444)
    node.attacked = [path]


def change_second_output(node: Node) -> None:
    """Change the documentation output of a package, row included; its first output stays as it was."""
    replace_with_row(node, node.path("editor-9-doc"))


def smuggle_reference(node: Node) -> None:
    """Let the publisher name the editor, in bytes of the same number, and make the database agree."""
    store, path, other = Store(node.root), node.path("publisher-1.4"), node.path("editor-9")
    data = store.physical(path).read_bytes()
    store.overwrite(path, data[: -len(other)] + other.encode())
    store.rewrite_row(path)
    with store.database() as database:
        database.execute(
            "INSERT INTO Refs (referrer, reference) SELECT a.id, b.id FROM ValidPaths a, ValidPaths b "
            "WHERE a.path = ? AND b.path = ?",
            (path, other),
        )
    node.arguments = ["--references"]
    node.attacked = [path]


def lose_reference(node: Node) -> None:
    """Let the publisher name another runtime, in bytes and row."""
    store, path, runtime = Store(node.root), node.path("publisher-1.4"), node.path("runtime-2.40")
    lost = runtime.rpartition("/")[2][:32].encode()
    store.overwrite(path, store.physical(path).read_bytes().replace(lost, b"0" * len(lost)))
    store.rewrite_row(path)
    store.forget_reference(path, runtime)
    node.arguments = ["--references"]
    node.attacked = [path]


def search_references(node: Node) -> None:
    """Leave the node alone, and let the verifier search for references."""
    node.arguments = ["--references"]


ATTACKS = (
    Attack(
        "flipped-byte", "One flipped bit", "flipped one bit in the middle of the kernel", flip, frozenset({"EV201"})
    ),
    Attack(
        "edited-row",
        "Replaced file, edited database row",
        "replaced the publisher and wrote the new hash into the database",
        lambda node: replace_with_row(node, node.path("publisher-1.4")),
        frozenset({"EV201"}),
    ),
    Attack(
        "content-addressed",
        "Content-addressed path, edited row",
        "changed os-release, whose name is its hash, and wrote the new hash into the database",
        lambda node: replace_content_addressed(node, node.path("os-release")),
        frozenset({"EV201", "EV210"}),
    ),
    Attack(
        "fixed-output",
        "Fixed-output path, edited row",
        "changed the tuner's firmware, a fixed output, and wrote the new hash into the database",
        lambda node: replace_content_addressed(node, node.path("tuner-firmware-5.1.bin")),
        frozenset({"EV201", "EV210"}),
    ),
    Attack(
        "smuggled-reference",
        "Reference smuggled into a path",
        "made the publisher name another program, in bytes and row",
        smuggle_reference,
        frozenset({"EV201", "EV212", "EV219"}),
    ),
    Attack(
        "lost-reference",
        "Reference lost from a path",
        "made the publisher name another runtime, in bytes and row",
        lose_reference,
        frozenset({"EV201", "EV212", "EV218"}),
    ),
    Attack(
        "searched-references",
        "Nothing, but a closer look",
        "did nothing, while the bytes are searched for references",
        search_references,
        frozenset(),
        verdict="passed",
    ),
    Attack(
        "second-output",
        "Second output of a package",
        "changed the editor's doc output and its row, and left its first output alone",
        change_second_output,
        frozenset({"EV201"}),
    ),
    Attack(
        "added-file",
        "File added inside a path",
        "put a kernel module of their own beside the others",
        add_file,
        frozenset({"EV201"}),
    ),
    Attack(
        "retargeted-link",
        "Retargeted symlink",
        "pointed a program's name on the search path at another program",
        retarget,
        frozenset({"EV201"}),
    ),
)
