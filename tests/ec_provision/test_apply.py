"""Applying: all of it or nothing, and a reader sees what was or what is."""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from ec_closure import broadcast, node_config
from ec_closure.errors import BadInputError
from ec_provision import state
from ec_provision.apply import HostName, apply
from ec_provision.errors import ApplyError
from ec_provision.sources import Found

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TOKEN = "s3cr3t-Z9"  # noqa: S105 - a token to look for
NODE = f"""schema = "ec-runner.node.v1"
name = "runner-7"
ssh_keys = ["{KEY} operator"]
[dashboard]
url = "https://dashboard.example.org"
token = "{TOKEN}"
[[broadcast]]
name = "channel-4"
input = "hdhomerun://10A1B2C3/4.1"
"""
GROUP = 4321
OTHER = NODE.replace("runner-7", "runner-8").replace("channel-4", "channel-5").replace(TOKEN, "other")


class Host:
    """A machine's host name."""

    def __init__(self) -> None:
        self.name = "before"
        self.names: list[str] = []

    def set(self, name: str) -> None:
        """Set it, and keep what was set."""
        self.name = name
        self.names.append(name)

    @property
    def functions(self) -> HostName:
        """What `apply` takes."""
        return HostName(lambda: self.name, self.set)


def given(text: str, **changes: Any) -> Found:
    """Return *text* as if it had been found."""
    return Found("file", "/var/lib/every-channel/node.toml", text.encode(), **changes)


class TestFiles:
    """What others find."""

    def test_each_reader_finds_what_is_for_it(self, machine: Any) -> None:
        """With the modes of the contract."""
        told, changed = apply(given(NODE, ignored=()), root=machine.root)

        found = machine.tree()
        assert changed
        assert node_config.decode_applied(found.pop("node.json")[1]) == told
        assert found == {
            "ssh": ("0755", b""),
            "ssh/root": ("0644", f"{KEY} operator\n".encode()),
            "broadcasts": ("0755", b""),
            "broadcasts/channel-4.toml": ("0640", found["broadcasts/channel-4.toml"][1]),
            "dashboard.token": ("0600", f"{TOKEN}\n".encode()),
        }
        read = broadcast.decode(found["broadcasts/channel-4.toml"][1])
        assert ("channel-4", "hdhomerun://10A1B2C3/4.1") == (read.name, read.input)
        assert ("runner-7", "file", hashlib.sha256(NODE.encode()).hexdigest()) == (told.name, told.source, told.digest)

    def test_the_umask_changes_nothing(self, machine: Any) -> None:
        """Neither a wide nor a narrow one."""
        trees = []
        for number, mask in enumerate((0o000, 0o077)):
            root = machine.root / str(number)
            root.mkdir()
            before = os.umask(mask)
            try:
                apply(given(NODE), root=root)
            finally:
                os.umask(before)
            trees.append(type(machine)(root, root).tree())

        assert trees[0] == trees[1]

    def test_a_secret_is_never_open_for_an_instant(self, machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whenever a file or a directory is made, it is made for its owner alone."""
        made: list[tuple[str, int]] = []
        real_open, real_mkdir = os.open, os.mkdir

        def watched_open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            if flags & os.O_CREAT:
                made.append((str(path), mode))
            return real_open(path, flags, mode, dir_fd=dir_fd)

        def watched_mkdir(path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
            made.append((str(path), mode))
            real_mkdir(path, mode, dir_fd=dir_fd)

        monkeypatch.setattr(os, "open", watched_open)
        monkeypatch.setattr(os, "mkdir", watched_mkdir)
        apply(given(NODE), root=machine.root)

        assert {"dashboard.token", "channel-4.toml", "root"} <= {name for name, _ in made}
        assert {mode & 0o077 for _, mode in made} == {0}

    @pytest.mark.root
    def test_broadcasts_are_for_their_group(self, machine: Any) -> None:
        """And for nobody else; the token and the keys stay with root."""
        apply(given(NODE), root=machine.root, group=GROUP)

        groups = {
            path: (machine.state / path).stat().st_gid
            for path in ("broadcasts/channel-4.toml", "ssh/root", "dashboard.token", "node.json")
        }
        assert groups == {"broadcasts/channel-4.toml": GROUP, "ssh/root": 0, "dashboard.token": 0, "node.json": 0}

    def test_no_data_is_written_down_too(self, machine: Any) -> None:
        """Whoever asks finds out that there was none; nobody may log in."""
        told, changed = apply(None, root=machine.root)

        assert ("none", None, True) == (told.source, told.digest, changed)
        assert {"node.json", "ssh", "ssh/root", "broadcasts"} == set(machine.tree())
        assert ("0644", b"") == machine.tree()["ssh/root"]

    def test_no_secret_stands_where_all_may_read(self, machine: Any) -> None:
        """Not in node.json, not in a name."""
        apply(given(NODE), root=machine.root)

        for path, (mode, data) in machine.tree().items():
            assert TOKEN not in path
            assert TOKEN.encode() not in data or mode == "0600"


class TestAgain:
    """Another run."""

    def test_the_same_data_change_nothing(self, machine: Any) -> None:
        """Not even a time stamp, nor the file that a name leads to."""
        host = Host()
        apply(given(NODE), root=machine.root, host_name=host.functions)
        before = [(path, path.lstat()) for path in sorted(machine.state.rglob("*"))]
        _, changed = apply(given(NODE), root=machine.root, host_name=host.functions)

        assert not changed
        assert before == [(path, path.lstat()) for path in sorted(machine.state.rglob("*"))]
        assert ["runner-7"] == host.names

    def test_other_data_replace_all_of_it(self, machine: Any) -> None:
        """Nothing of the old is left, wherever it was."""
        apply(given(NODE), root=machine.root)
        _, changed = apply(given(OTHER), root=machine.root)

        assert changed
        assert {"broadcasts/channel-5.toml", "node.json", "ssh", "ssh/root", "broadcasts", "dashboard.token"} == set(
            machine.tree()
        )
        assert not [path for path in machine.root.rglob("*") if path.is_file() and TOKEN in path.read_text()]
        apply(None, root=machine.root)
        assert "dashboard.token" not in machine.tree()

    @pytest.mark.parametrize(
        "damage",
        [
            lambda place: (place / "dashboard.token").chmod(0o644),
            lambda place: (place / "ssh/root").write_text("x"),
            lambda place: (place / "ssh/other").write_text("x"),
            lambda place: (place / "ssh").unlink(),
            lambda place: (place / "node.json").unlink(),
            lambda place: (place / "node.json").chmod(0o600),
            lambda place: (place / "broadcasts/channel-4.toml").unlink(),
            lambda place: (place / "current").unlink(),
            lambda place: shutil.rmtree((place / "current").resolve()),
        ],
    )
    def test_what_was_changed_by_hand_is_put_right(self, machine: Any, damage: Callable[[Any], Any]) -> None:
        """The data say what is there, not what was there."""
        apply(given(NODE), root=machine.root)
        before = machine.tree()
        damage(machine.state)
        _, changed = apply(given(NODE), root=machine.root)

        assert changed
        assert before == machine.tree()

    def test_what_killed_runs_left_is_swept(self, machine: Any) -> None:
        """It may hold a token. What is not ours stays."""
        apply(given(NODE), root=machine.root)
        (machine.state / ".tree-0123456789abcdef/ssh").mkdir(parents=True)
        (machine.state / ".tree-0123456789abcdef/dashboard.token").write_text("x")
        (machine.state / ".file-0123456789abcdef").write_text("x")
        (machine.state / ".link-0123456789abcdef").symlink_to("/nowhere")
        (machine.state / "control-peer.json").write_text("x")
        apply(given(OTHER), root=machine.root)

        left = {path.name for path in machine.state.iterdir() if not path.name.startswith(".tree-")}
        assert left == {*state.NAMES, "current", "node.json", "control-peer.json"}
        assert 1 == len(list(machine.state.glob(".tree-*")))

    def test_two_runs_do_not_mix(self, machine: Any) -> None:
        """The second is told."""
        apply(given(NODE), root=machine.root)
        descriptor = os.open(machine.state, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)

        with pytest.raises(ApplyError, match="another `ec-provision apply` is under way"):
            apply(given(OTHER), root=machine.root)
        os.close(descriptor)
        apply(given(OTHER), root=machine.root)


class TestFailures:
    """What was there stays."""

    @pytest.mark.parametrize(
        "text", ["", NODE.replace("runner-7", "Runner 7"), NODE + "x", NODE.replace("AAAA", "AAAB")]
    )
    def test_bad_data_change_nothing(self, machine: Any, text: str) -> None:
        """Neither on a new machine nor where there are data already."""
        host = Host()
        with pytest.raises(BadInputError):
            apply(given(text), root=machine.root, host_name=host.functions)
        assert [] == list(machine.root.iterdir())

        apply(given(NODE), root=machine.root, host_name=host.functions)
        before = machine.tree()
        with pytest.raises(BadInputError):
            apply(given(text), root=machine.root, host_name=host.functions)
        assert (before, ["runner-7"]) == (machine.tree(), host.names)

    def test_a_failure_at_any_moment_changes_nothing(self, machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each system call of a run fails once: what is there then is the old or the new, and the host name fits."""
        host = Host()
        apply(given(NODE), root=machine.root, host_name=host.functions)
        old = machine.tree()
        failed = 0
        for number in itertools.count():
            apply(given(NODE), root=machine.root, host_name=host.functions)
            with monkeypatch.context() as patch:
                calls = _failing(patch, number)
                try:
                    apply(given(OTHER), root=machine.root, host_name=host.functions)
                except ApplyError:
                    failed += 1
                    assert (old, "runner-7") == (machine.tree(), host.name)
            if calls[0] <= number:
                break
        assert "runner-8" == host.name
        assert failed > 20

    def test_a_reader_sees_what_was_or_what_is(self, machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Looked at after every system call that changes a name."""
        apply(given(NODE), root=machine.root)
        old = machine.tree()
        seen: list[dict[str, Any]] = []
        real = os.rename

        def watched(*arguments: Any, **options: Any) -> None:
            real(*arguments, **options)
            seen.append(machine.tree())

        monkeypatch.setattr(os, "rename", watched)
        apply(given(OTHER), root=machine.root)

        new = machine.tree()
        assert seen
        for tree in seen:
            assert tree.pop("node.json") in (old["node.json"], new["node.json"])
            assert tree in (
                {k: v for k, v in old.items() if k != "node.json"},
                {k: v for k, v in new.items() if k != "node.json"},
            )

    def test_a_host_name_that_cannot_be_set_changes_nothing(self, machine: Any) -> None:
        """A container without the right to."""

        def refuse(_: str) -> None:
            raise PermissionError(1, "Operation not permitted")

        with pytest.raises(ApplyError, match="the host name cannot be set: Operation not permitted"):
            apply(given(NODE), root=machine.root, host_name=HostName(lambda: "before", refuse))
        assert {} == machine.tree()

    def test_something_in_the_way_is_named(self, machine: Any) -> None:
        """A directory of somebody else is not removed."""
        (machine.state / "ssh").mkdir(parents=True)
        (machine.state / "ssh/theirs").write_text("x")

        with pytest.raises(ApplyError, match="cannot be written: "):
            apply(given(NODE), root=machine.root)
        assert "x" == (machine.state / "ssh/theirs").read_text()

    def test_a_link_in_place_of_the_directory_is_not_followed(self, machine: Any, tmp_path: Any) -> None:
        """An image that was unpacked from elsewhere must not make root write outside it."""
        (tmp_path / "outside").mkdir()
        (machine.root / "run").symlink_to(tmp_path / "outside")

        with pytest.raises(ApplyError):
            apply(given(NODE), root=machine.root)
        assert [] == list((tmp_path / "outside").iterdir())


@pytest.mark.parametrize(("exposed", "text"), [(True, NODE), (False, NODE), (True, NODE.replace("token", "# token"))])
def test_a_token_that_others_could_read_is_said(machine: Any, capsys: Any, exposed: bool, text: str) -> None:  # noqa: FBT001 - a table
    """And not repeated; a file without one may be read by anybody."""
    apply(given(text, exposed=exposed), root=machine.root)

    said = capsys.readouterr().out
    assert TOKEN not in said
    assert (exposed and text == NODE) == ("others than root can read the token" in said)


def _failing(patch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Make the system call with this *number* fail; return the count of those that were made."""
    calls = [0]
    names = ("mkdir", "symlink", "rename", "fsync", "fchmod", "write", "unlink")

    def wrapped(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            calls[0] += 1
            if calls[0] == number + 1:
                raise OSError(28, "No space left on device")
            return real(*arguments, **options)

        return call

    for name in names:
        patch.setattr(os, name, wrapped(getattr(os, name)))
    return calls
