"""The verifier's own state directory: nothing is lost, nothing repeats, nobody else has a say."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from ec_verify import state as states
from ec_verify.errors import StateError
from ec_verify.state import State, boot_id, write_file

if TYPE_CHECKING:
    from collections.abc import Callable

HOLD = """
import sys
from pathlib import Path
from ec_verify.state import State
with State(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def _in_the_queue(pid: int) -> bool:
    """Tell whether a process waits for a lock. See proc_locks(5): an arrow marks who waits."""
    locks = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and str(pid) in line.split() for line in locks)


@pytest.fixture
def state(tmp_path: Path) -> State:
    """Give a state directory that is not there yet."""
    return State(tmp_path / "var" / "state")


def key_file(state: State) -> Path:
    """Return where the key lies."""
    return state.path / "keys" / "node.pem"


def write_key(state: State, pem: bytes) -> None:
    """Put *pem* where the key lies."""
    write_file(key_file(state), pem)


def pem(private: Ed25519PrivateKey, encryption: KeySerializationEncryption) -> bytes:
    """Return *private* as PEM."""
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


class TestWriting:
    """Files appear whole or not at all."""

    def test_a_file_is_written_with_its_mode_and_nothing_else_stays(self, tmp_path: Path) -> None:
        """Private unless said otherwise, whatever the umask."""
        old = os.umask(0)
        try:
            write_file(tmp_path / "a" / "private", b"1")
            write_file(tmp_path / "a" / "public", b"2", mode=0o644)
        finally:
            os.umask(old)

        assert {"private": 0o600, "public": 0o644} == {
            path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a").iterdir()
        }
        assert 0o700 == stat.S_IMODE((tmp_path / "a").stat().st_mode)

    @pytest.mark.parametrize("call", ["fsync", "fchmod"])
    def test_a_failure_before_the_rename_leaves_the_old_content(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
    ) -> None:
        """A full disk, or a machine that is switched off, costs the new content and never the old."""
        file = write_file(tmp_path / "file", b"old")

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, call, full)
        with pytest.raises(StateError, match="no space left on device") as caught:
            write_file(file, b"new")

        assert (b"old", [file]) == (file.read_bytes(), list(tmp_path.iterdir()))
        assert (str(file), True) == (caught.value.place, caught.value.hint is not None)

    def test_an_interrupt_before_the_rename_leaves_the_old_content(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever presses Ctrl-C gets the old content and no litter."""
        file = write_file(tmp_path / "file", b"old")

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_file(file, b"new")

        assert (b"old", [file]) == (file.read_bytes(), list(tmp_path.iterdir()))

    def test_a_link_in_the_files_place_is_replaced_and_not_followed(self, tmp_path: Path) -> None:
        """Metrics are written into a directory that others may write to."""
        victim = tmp_path / "victim"
        victim.write_bytes(b"precious")
        (tmp_path / "file").symlink_to(victim)

        write_file(tmp_path / "file", b"new")

        assert (b"precious", b"new", False) == (
            victim.read_bytes(),
            (tmp_path / "file").read_bytes(),
            (tmp_path / "file").is_symlink(),
        )

    def test_a_place_that_cannot_be_written_is_told(self, tmp_path: Path) -> None:
        """A file where a directory should be."""
        (tmp_path / "file").write_bytes(b"")

        with pytest.raises(StateError, match="file exists") as caught:
            write_file(tmp_path / "file" / "below", b"")

        assert (str(tmp_path / "file"), True) == (caught.value.place, caught.value.hint is not None)


class TestLock:
    """One run at a time."""

    def test_a_second_run_is_refused_while_the_first_goes_on(self, state: State) -> None:
        """And not after it, however it ended."""
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, state.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as first:
            assert first.stdout is not None
            first.stdout.readline()
            with pytest.raises(StateError, match="another run is under way"), state.lock():
                pytest.fail("two runs at once")
            first.kill()
        with state.lock():
            pass

    def test_a_run_that_waits_has_its_turn_when_the_other_has_ended(self, state: State) -> None:
        """It stands in the kernel's queue meanwhile, and takes nothing."""
        waiting = HOLD.replace(".lock()", ".lock(wait=True)")
        with state.lock():
            second = subprocess.Popen(
                [sys.executable, "-c", waiting, str(state.path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
            )
            while not _in_the_queue(second.pid):
                assert second.poll() is None
        with second:
            assert second.stdout is not None
            assert second.stdout.read() == b"held\n"

        assert second.returncode == 0

    def test_the_directory_is_private(self, state: State) -> None:
        """Made for us alone."""
        with state.lock():
            assert 0o700 == stat.S_IMODE(state.path.stat().st_mode)

    def test_what_goes_wrong_inside_is_not_called_another_run(self, state: State) -> None:
        """The error of the body is the body's."""
        with pytest.raises(BlockingIOError), state.lock():
            raise BlockingIOError(11, "try again")

    def test_what_a_killed_run_left_half_written_is_swept(self, state: State) -> None:
        """By whoever holds the lock, and nothing else: whole files and those of other names stay."""
        litter = [state.path / ".counter.ab12_xyz", state.path / "reports" / ".0000000001-x.report.json.00000000"]
        kept = [state.path / "counter", state.path / ".hidden", state.path / "reports" / "0000000001-x.report.json"]
        for file in (*litter, *kept):
            state.write(str(file.relative_to(state.path)), b"x")

        with state.lock():
            assert [False, False] == [file.exists() for file in litter]
            assert [True, True, True] == [file.exists() for file in kept]

    def test_a_link_in_the_locks_place_is_refused(self, state: State, tmp_path: Path) -> None:
        """It would make a file wherever it points."""
        state.path.mkdir(parents=True)
        (state.path / "lock").symlink_to(tmp_path / "elsewhere")

        with pytest.raises(StateError), state.lock():
            pytest.fail("a link was followed")

        assert not (tmp_path / "elsewhere").exists()

    def test_a_file_in_the_directorys_place_is_told(self, tmp_path: Path) -> None:
        """The system's words, the place and a hint."""
        (tmp_path / "state").write_bytes(b"")

        with pytest.raises(StateError, match="file exists"), State(tmp_path / "state").lock():
            pytest.fail("no directory")


class TestKey:
    """The node's identity."""

    def test_a_key_is_made_once_and_kept_private(self, state: State) -> None:
        """The same key every time, for its owner alone."""
        first = state.key().public_key

        assert first == state.key().public_key
        assert (0o600, 0o700) == (
            stat.S_IMODE(key_file(state).stat().st_mode),
            stat.S_IMODE(key_file(state).parent.stat().st_mode),
        )

    def test_of_many_first_uses_one_key_comes(self, state: State) -> None:
        """Whoever enrols the key that was printed must not enrol one that was thrown away."""
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: state.key().public_key.keyid, range(8)))

        assert {state.key().public_key.keyid} == set(found)

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (lambda: b"", "no PEM private key"),
            (lambda: b"not a key\n", "no PEM private key"),
            (lambda: b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no PEM private key"),
            (
                lambda: pem(Ed25519PrivateKey.generate(), BestAvailableEncryption(b"password")),
                "no PEM private key without a password",
            ),
            (
                lambda: (
                    Ed25519PrivateKey.generate()
                    .public_key()
                    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
                ),
                "no PEM private key",
            ),
            (
                lambda: generate_private_key(SECP256R1()).private_bytes(
                    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
                ),
                "no Ed25519 key",
            ),
        ],
        ids=["empty", "garbage", "malformed", "encrypted", "public", "another kind"],
    )
    def test_a_damaged_key_is_told_and_never_replaced(self, state: State, make: Callable[[], bytes], said: str) -> None:
        """A node does not silently become another one."""
        damaged = make()
        write_key(state, damaged)

        with pytest.raises(StateError, match=said) as caught:
            state.key()

        assert (str(key_file(state)), True, damaged) == (
            caught.value.place,
            caught.value.hint is not None,
            key_file(state).read_bytes(),
        )

    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o602])
    def test_a_key_that_others_can_use_is_refused(self, state: State, mode: int) -> None:
        """Whoever can read it can sign as this node."""
        state.key()
        key_file(state).chmod(mode)

        with pytest.raises(StateError, match="others than its owner"):
            state.key()

    @pytest.mark.root
    def test_a_key_of_somebody_else_is_refused(self, state: State) -> None:
        """Whoever put it there knows it."""
        state.key()
        os.chown(key_file(state), 65533, 65533)

        with pytest.raises(StateError, match="not ours"):
            state.key()

    def test_a_link_in_the_keys_place_is_refused(self, state: State, tmp_path: Path) -> None:
        """A key elsewhere is not ours to judge, and one that is not there is not made elsewhere."""
        key_file(state).parent.mkdir(parents=True)
        key_file(state).symlink_to(tmp_path / "elsewhere.pem")
        with pytest.raises(StateError):
            state.key()
        assert not (tmp_path / "elsewhere.pem").exists()

        (tmp_path / "elsewhere.pem").write_bytes(pem(Ed25519PrivateKey.generate(), NoEncryption()))
        with pytest.raises(StateError):
            state.key()

    def test_a_fifo_in_the_keys_place_does_not_hang(self, state: State) -> None:
        """Only a regular file is a key."""
        key_file(state).parent.mkdir(parents=True)
        os.mkfifo(key_file(state), 0o600)

        with pytest.raises(StateError, match="not ours"):
            state.key()


class TestCounter:
    """Reports are numbered, and no number comes twice."""

    def test_it_only_grows(self, state: State) -> None:
        """Also for whoever comes later."""
        assert [1, 2, 3] == [state.next_counter() for _ in range(3)]
        assert 4 == State(state.path).next_counter()

    def test_a_number_that_could_not_be_remembered_is_not_given_out(
        self, state: State, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Remembering comes first."""
        state.next_counter()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
            with pytest.raises(StateError, match="input/output error"):
                state.next_counter()

        assert 2 == state.next_counter()

    @pytest.mark.parametrize(
        "content",
        [
            b"x",
            b"-1",
            b"1.5",
            b"1 2",
            b"1_000",
            b"\xff",
            "٣".encode(),
            pytest.param(b"9" * 5000, id="long"),
            b"9007199254740992",
            b"0x1",
        ],
    )
    def test_a_damaged_counter_is_told_and_never_starts_anew(self, state: State, content: bytes) -> None:
        """Starting anew would repeat numbers."""
        state.write("counter", content)

        with pytest.raises(StateError, match="holds no number") as caught:
            state.next_counter()

        assert (str(state.path / "counter"), content) == (caught.value.place, state.read("counter"))

    def test_an_empty_counter_is_damaged(self, state: State) -> None:
        """Nothing is no number; an absent file is the beginning."""
        state.write("counter", b"\n")

        with pytest.raises(StateError, match="holds no number"):
            state.next_counter()

    def test_the_largest_number_fits_a_report(self, state: State) -> None:
        """The format of reports ends at 2**53."""
        state.write("counter", b"9007199254740991\n")

        assert 2**53 == state.next_counter()


def test_reading_tells_absent_from_unreadable(state: State) -> None:
    """None is only what is not there."""
    assert state.read("none") is None
    (state.path / "directory").mkdir(parents=True)

    with pytest.raises(StateError, match="is a directory"):
        state.read("directory")


def test_the_boot_is_named_where_the_kernel_tells(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where it does not, there is none."""
    (tmp_path / "boot_id").write_text("0123-4567\n")
    monkeypatch.setattr(states, "_BOOT_ID", tmp_path / "boot_id")
    assert "0123-4567" == boot_id()

    (tmp_path / "boot_id").unlink()
    assert boot_id() is None
