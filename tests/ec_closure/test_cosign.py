"""What we sign, checked by a program that shares no code with us."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import CryptoSigner

from ec_closure import dsse, intoto, report

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    shutil.which("cosign") is None, reason="there is no cosign on the PATH to compare our envelopes with"
)

NAR = b"as nix-store --dump wrote it"


class Blob:
    """A signed statement about a file, in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.signer = CryptoSigner.generate_ed25519()
        key = self.signer._private_key.public_key()
        (directory / "key.pub").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        (directory / "path.nar").write_bytes(NAR)
        subject = intoto.Subject(name="/nix/store/path", digest={"sha256": hashlib.sha256(NAR).hexdigest()})
        statement = intoto.Statement(subject=(subject,), predicate_type=report.PREDICATE_TYPE, predicate={})
        self.envelope = dsse.sign(intoto.encode(statement), intoto.PAYLOAD_TYPE, [self.signer])

    def cosign(self, predicate_type: str = report.PREDICATE_TYPE) -> subprocess.CompletedProcess[str]:
        """Ask cosign, without its transparency log: nodes sign with keys of their own and no network."""
        (self.directory / "envelope.json").write_bytes(self.envelope)
        return subprocess.run(
            [
                *("cosign", "verify-blob-attestation", "--key", "key.pub", "--type", predicate_type),
                *("--signature", "envelope.json", "--insecure-ignore-tlog", "path.nar"),
            ],
            cwd=self.directory,
            env={"HOME": str(self.directory), "PATH": str(self.directory)},
            executable=shutil.which("cosign"),
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def blob(tmp_path: Path) -> Blob:
    """Give a statement that nobody has tampered with."""
    return Blob(tmp_path)


def test_cosign_accepts_what_we_sign(blob: Blob) -> None:
    """With nothing but the public key in PEM, the envelope and the file."""
    done = blob.cosign()

    assert done.returncode == 0, done.stderr
    assert "Verified OK" in done.stderr


def test_cosign_refuses_another_file(blob: Blob) -> None:
    """The digest of the subject is that of the file."""
    (blob.directory / "path.nar").write_bytes(NAR + b"!")
    done = blob.cosign()

    assert done.returncode == 1
    assert "no matching subject digest" in done.stderr


def test_cosign_refuses_another_key(blob: Blob) -> None:
    """And so a statement by anybody else."""
    blob.envelope = dsse.sign(
        dsse.verify(blob.envelope, intoto.PAYLOAD_TYPE, [blob.signer.public_key]),
        intoto.PAYLOAD_TYPE,
        [CryptoSigner.generate_ed25519()],
    )
    done = blob.cosign()

    assert done.returncode == 1
    assert "accepted signatures do not match threshold" in done.stderr


def test_cosign_refuses_another_type(blob: Blob) -> None:
    """A report is not taken for provenance."""
    done = blob.cosign("https://slsa.dev/provenance/v1")

    assert done.returncode == 1
    assert "invalid predicate type" in done.stderr
