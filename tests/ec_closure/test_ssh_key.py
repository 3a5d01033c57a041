"""Lines of authorized_keys: what a node lets in, and what would give more than a login."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from ec_closure import ssh_key
from ec_closure.ssh_key import SshKeyError

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes


def line(key: PublicKeyTypes) -> str:
    """Return a public key as OpenSSH writes it."""
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def joined(*fields: bytes) -> bytes:
    """Return a key's blob."""
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def made(kind: str, *fields: bytes, tail: bytes = b"") -> str:
    """Return a line of a key that is made by hand."""
    return f"{kind} {base64.b64encode(joined(kind.encode(), *fields) + tail).decode()}"


PLAIN = line(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key())
POINT = b"\x04" + bytes(64)
MODULUS = b"\0" + b"\xff" * 256
SK = "sk-ssh-ed25519@openssh.com"
SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"


class TestKeys:
    """Keys themselves."""

    @pytest.mark.parametrize(
        "text",
        [
            PLAIN,
            *(
                line(ec.generate_private_key(curve()).public_key())
                for curve in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
            ),
            line(rsa.generate_private_key(65537, 2048).public_key()),
            made(SK, bytes(32), b"ssh:"),
            made(SK_ECDSA, b"nistp256", POINT, b"ssh:"),
        ],
        ids=lambda text: text.partition(" ")[0],
    )
    def test_keys_of_every_known_type_are_read(self, text: str) -> None:
        """As other programs make them; what is rendered is what was read."""
        key = ssh_key.parse(f"{text} operator@desk")

        assert f"{text} operator@desk" == key.render()
        assert (text.partition(" ")[0], "operator@desk", "") == (key.kind, key.comment, key.options)

    def test_the_fingerprint_is_that_of_openssh(self, tmp_path: Path) -> None:
        """An operator compares it with what `ssh-keygen -l` says."""
        expected = base64.b64encode(hashlib.sha256(base64.b64decode(PLAIN.split()[1])).digest()).decode().rstrip("=")
        assert f"SHA256:{expected}" == ssh_key.parse(PLAIN).fingerprint
        if shutil.which("ssh-keygen"):
            (tmp_path / "key.pub").write_text(PLAIN)
            said = subprocess.run(
                ["ssh-keygen", "-lf", tmp_path / "key.pub"], capture_output=True, text=True, check=True
            ).stdout
            assert said.split()[1] == ssh_key.parse(PLAIN).fingerprint

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "ssh-ed25519",
            "ssh-ed25519 ",
            f"ssh-ed25519  {PLAIN.split()[1]}",
            "ssh-ed25519 AAAA",
            "ssh-ed25519 !!!!",
            PLAIN[:-4],
            PLAIN[:-1],
            f"{PLAIN}=",
            f"#{PLAIN}",
            f" {PLAIN}",
            PLAIN.replace("ssh-ed25519", "ssh-rsa"),
            PLAIN.replace("ssh-ed25519", "SSH-ED25519"),
            made("ssh-ed25519", bytes(31)),
            made("ssh-ed25519", bytes(32), b""),
            made("ssh-ed25519", bytes(32), tail=b"\0\0\0"),
            made("ssh-ed25519", bytes(32), tail=b"\xff\xff\xff\xff"),
            made("ecdsa-sha2-nistp256", b"nistp256", b"\x02" + bytes(32)),
            made("ecdsa-sha2-nistp256", b"nistp384", POINT),
            made("ecdsa-sha2-nistp384", b"nistp384", POINT),
            made(SK, bytes(32)),
            made(SK, bytes(32), b""),
            made(SK, bytes(32), b"a b"),
            made(SK_ECDSA, b"nistp256", POINT),
            made("ssh-rsa", b"\3", b"\0" + b"\xff" * 255),
            made("ssh-rsa", b"\3", b"\0" + b"\xff" * 2049),
            made("ssh-rsa", b"\1", MODULUS),
            made("ssh-rsa", b"\2", MODULUS),
            made("ssh-rsa", b"\3" * 9, MODULUS),
            made("ssh-rsa", b"\0\3", MODULUS),
            made("ssh-rsa", b"\3", MODULUS[1:]),
            made("ssh-rsa", b"\3", MODULUS[:-1] + b"\xfe"),
            made("ssh-rsa", b"\3", b""),
            made("ssh-rsa", b"\3", MODULUS, b"x"),
            made("ssh-dss", MODULUS, MODULUS, b"\3", b"\3"),
            made("ssh-ed25519-cert-v01@openssh.com", bytes(32)),
        ],
    )
    def test_what_is_no_key_is_refused(self, text: str) -> None:
        """Cut off, of another type than it says, weak, or of a type that OpenSSH gave up."""
        with pytest.raises(SshKeyError):
            ssh_key.parse(text)

    def test_a_private_key_is_recognised_and_not_repeated(self) -> None:
        """It would stand in a journal that many may read."""
        for text in ("-----BEGIN OPENSSH PRIVATE KEY----- b3BlbnNz", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz"):
            with pytest.raises(SshKeyError) as caught:
                ssh_key.parse(text)
            assert "b3BlbnNz" not in f"{caught.value} {caught.value.hint}"

    @pytest.mark.parametrize(
        "tail", ["\n", "\nssh-ed25519 AAAA", "\r", "\x0b", "\x85", "\u2028", "\0", "\x1b[2J", "\u202e", "\t"]
    )
    def test_a_second_line_cannot_be_smuggled_in(self, tail: str) -> None:
        """Nothing that any reader of lines takes for the end of one, and nothing that fools a terminal."""
        with pytest.raises(SshKeyError):
            ssh_key.parse(f"{PLAIN} comment{tail}")

    def test_a_line_without_end_is_refused(self) -> None:
        """So is a comment that fills the screen."""
        for text in (f"{PLAIN} {'x' * 257}", "x" * (ssh_key.MAX_LENGTH + 1)):
            with pytest.raises(SshKeyError):
                ssh_key.parse(text)


class TestOptions:
    """What may stand in front of a key."""

    @pytest.mark.parametrize(
        "options",
        [
            "restrict",
            "restrict,pty",
            "no-pty,no-user-rc,no-X11-forwarding,no-agent-forwarding,no-port-forwarding",
            'from="10.0.0.0/8,!10.1.2.3,*.example.org,2001:db8::/32,fe80::?"',
            'expiry-time="20271231"',
            'expiry-time="202712312359Z",restrict',
            'from="192.0.2.1",verify-required',
        ],
    )
    def test_what_narrows_a_key_is_kept(self, options: str) -> None:
        """Word for word: sshd reads it."""
        assert f"{options} {PLAIN} me" == ssh_key.parse(f"{options} {PLAIN} me").render()

    @pytest.mark.parametrize(
        "options",
        [
            'command="/bin/sh"',
            'command="/bin/sh -c reboot"',
            'COMMAND="x"',
            'restrict,command="x"',
            'from="a",command="x"',
            'environment="LD_PRELOAD=/tmp/x"',
            "cert-authority",
            'principals="root"',
            'tunnel="0"',
            'permitopen="a:1"',
            'permitlisten="1"',
            "user-rc",
            "no-touch-required",
            "Restrict",
            "nonsense",
        ],
    )
    def test_what_runs_programs_or_widens_trust_is_refused(self, options: str) -> None:
        """The message names it."""
        with pytest.raises(SshKeyError):
            ssh_key.parse(f"{options} {PLAIN}")

    @pytest.mark.parametrize(
        "options",
        [
            "restrict,",
            ",restrict",
            "restrict,,pty",
            "restrict,restrict",
            'restrict="yes"',
            "from",
            "from=",
            'from=""',
            'from="a',
            'from="a"b',
            'from="a","b"',
            'from="a\\"b"',
            'from="a b"',
            'from="10.0.0.1/8"',
            'from="10.0.0.0/33"',
            'from="x/8"',
            'from="a,,b"',
            'from="!"',
            'expiry-time=""',
            'expiry-time="2027"',
            'expiry-time="20271331"',
            'expiry-time="20270101Z "',
            'expiry-time="never"',
            'expiry-time="2027-1-1"',
            'expiry-time="٢٠٢٧٠١٠١"',
        ],
    )
    def test_options_that_sshd_would_read_otherwise_are_refused(self, options: str) -> None:
        """It skips a line that it cannot read, and nobody notices until nobody can log in."""
        with pytest.raises(SshKeyError):
            ssh_key.parse(f"{options} {PLAIN}")


@given(st.text(max_size=200) | st.text(max_size=50).map(lambda text: f"{PLAIN} {text}"))
def test_whatever_is_accepted_is_one_line_that_reads_the_same(text: str) -> None:
    """Or it is refused with an error of ours."""
    try:
        key = ssh_key.parse(text)
    except SshKeyError:
        return

    assert [key.render()] == key.render().splitlines()
    assert key == ssh_key.parse(key.render())
