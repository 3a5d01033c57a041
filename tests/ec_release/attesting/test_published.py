"""What a release says about itself is checked before it is published, and people check it afterwards with cosign."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from securesystemslib.signer import CryptoSigner
from tests.ec_release.whole_release import COSIGN, described

from ec_closure import dsse, intoto
from ec_closure.errors import UsageError
from ec_release.attesting import provenance
from ec_release.publishing import plan

if TYPE_CHECKING:
    from collections.abc import Callable

needs_cosign = pytest.mark.skipif(COSIGN is None, reason="there is no cosign on the PATH to check our signatures with")


def test_a_whole_release_lacks_nothing(release: Any) -> None:
    """Check-sums, their signature, bill of materials and provenance lie beside the files."""
    kinds = ("--require", "sbom", "--require", "provenance", "--require", "signature")
    result = release.run(*release.publish_arguments(*kinds))

    assert result["absent"] == []
    assert sorted(path.name for path in release.published.iterdir()) == [
        "SHA256SUMS",
        "SHA256SUMS.sig",
        "disk.img",
        "provenance.intoto.json",
        "runner.cdx.json",
        "runner.closure.json.zst",
    ]
    sums = (release.published / "SHA256SUMS").read_text()
    assert [line.split("  ")[1] for line in sums.splitlines()] == [
        "disk.img",
        "provenance.intoto.json",
        "runner.cdx.json",
        "runner.closure.json.zst",
    ]


def test_publishing_a_whole_release_twice_changes_nothing(release: Any) -> None:
    """Signatures are deterministic."""
    release.run(*release.publish_arguments())
    before = release.place.files()
    release.write()
    result = release.run(*release.publish_arguments())

    assert not result["assets_published"]
    assert release.place.files() == before


def test_what_is_absent_is_told(release: Any) -> None:
    """A release without them may be published, and the result says so."""
    for path in release.assets[1:]:
        path.write_bytes(b"")
    arguments = [one for one in release.publish_arguments() if one not in release.assets[1:]]
    result = release.run(*arguments)

    assert result["absent"] == ["sbom of runner", "provenance"]


@pytest.mark.parametrize("kind", ["sbom", "provenance"])
def test_what_is_required_may_not_be_absent(release: Any, kind: str) -> None:
    """CI asks for it, and nothing is published without."""
    arguments = [one for one in release.publish_arguments("--require", kind) if one not in release.assets[1:]]
    code, _, err = release.command(*arguments)

    assert code == 2
    assert f"lacks {kind}" in err
    assert not release.published.exists()


def refused(release: Any, message: str, code: int = 2) -> None:
    """Assert that publishing fails, says why, and shows nothing to readers."""
    found, _, err = release.command(*release.publish_arguments())

    assert message in err
    assert found == code
    assert not release.published.exists()


def test_a_bill_of_another_manifest_is_refused(release: Any) -> None:
    """It would say of this system what is true of another."""
    other = release.directory / "other"
    other.mkdir()
    (other / "runner.closure.json.zst").write_bytes(plan.manifest.encode(described(name="another")))
    release.run("sbom", other / "runner.closure.json.zst", "--out", release.directory)
    refused(release, "another system")


def test_a_bill_without_a_manifest_is_refused(release: Any) -> None:
    """Nothing in the release says whether it is true."""
    (release.directory / "runner.cdx.json").rename(release.directory / "stray.cdx.json")
    code, _, err = release.command(
        *("publish", "--tag", "v1", "--version", "1", "--directory", release.place.tree, "--keys", release.place.keys),
        *("--assets", release.directory / "stray.cdx.json", "--closure", release.manifest_file),
    )

    assert code == 2
    assert "stray.cdx.json: belongs to no manifest" in err


def test_an_asset_that_changed_after_it_was_attested_is_refused(release: Any) -> None:
    """Provenance would be about other bytes than are published."""
    (release.directory / "disk.img").write_bytes(b"another")
    refused(release, "provenance.intoto.json: names another disk.img")


def test_an_asset_that_was_not_attested_is_refused(release: Any) -> None:
    """It would be published as if it came from the same build."""
    (release.directory / "extra.img").write_bytes(b"extra")
    code, _, err = release.command(*release.publish_arguments(release.directory / "extra.img"))

    assert code == 2
    assert "does not name extra.img" in err


def test_provenance_by_another_key_is_refused(release: Any) -> None:
    """Also where every word of it is right."""
    payload = dsse.unverified(release.provenance.read_bytes())
    release.provenance.write_bytes(dsse.sign(payload, intoto.PAYLOAD_TYPE, [CryptoSigner.generate_ed25519()]))
    refused(release, "signed by 0 of the 1 keys", code=3)


def test_provenance_needs_keys_to_be_judged(release: Any) -> None:
    """Without them nothing is taken on faith."""
    with pytest.raises(UsageError, match="cannot be verified"):
        plan.make("v1", 1, release.assets, [release.manifest_file])


@pytest.mark.parametrize("name", ["SHA256SUMS.sig", "SHA256SUMS"])
def test_the_names_of_what_we_sign_are_ours(release: Any, name: str) -> None:
    """Nobody publishes a signature of their own under that name."""
    (release.directory / name).write_bytes(b"x")
    with pytest.raises(UsageError, match="cannot be the name"):
        plan.make("v1", 1, [release.directory / name], [])


@pytest.fixture
def published(release: Any) -> Any:
    """Give a published release, and the public keys as `trust show` writes them."""
    release.run(*release.publish_arguments())
    public = release.place.path / "public"
    release.run(
        *("trust", "show", "--directory", release.place.tree, "--root", release.place.keys / "root.json"),
        *("--public-keys", public, "--time", release.place.time.isoformat()),
    )
    return release


def test_public_keys_are_written_for_people(published: Any) -> None:
    """One file a key, by role; openssl reads them."""
    public = published.place.path / "public"

    assert sorted(path.name for path in public.iterdir()) == [
        f"{role}-1.pem" for role in ("root", "snapshot", "targets", "timestamp")
    ]
    key = subprocess.run(["openssl", "pkey", "-pubin", "-in", public / "targets-1.pem", "-noout", "-text"], check=False)
    assert key.returncode == 0


ATTESTATION = ("verify-blob-attestation", "--type", "slsaprovenance1", "--signature", "provenance.intoto.json")


@needs_cosign
def test_cosign_accepts_the_checksums(published: Any) -> None:
    """With the public key and the signature beside them."""
    done = published.cosign("verify-blob", "--signature", "SHA256SUMS.sig", "SHA256SUMS")

    assert done.returncode == 0, done.stderr


@needs_cosign
def test_cosign_refuses_other_checksums(published: Any) -> None:
    """One bit of them suffices."""
    sums = published.published / "SHA256SUMS"
    sums.write_bytes(sums.read_bytes().replace(b"disk", b"dusk"))

    assert published.cosign("verify-blob", "--signature", "SHA256SUMS.sig", "SHA256SUMS").returncode != 0


@needs_cosign
@pytest.mark.parametrize("name", ["disk.img", "runner.cdx.json", "runner.closure.json.zst"])
def test_cosign_accepts_the_provenance_of_each_asset(published: Any, name: str) -> None:
    """One envelope is about all of them."""
    done = published.cosign(*ATTESTATION, name)

    assert done.returncode == 0, done.stderr


def another_file(release: Any) -> None:
    """Exchange an asset."""
    (release.published / "disk.img").write_bytes(b"another")


def another_statement(release: Any) -> None:
    """Change a word of what was signed."""
    path = release.published / "provenance.intoto.json"
    envelope = json.loads(path.read_bytes())
    payload = dsse.unverified(path.read_bytes()).replace(b"refs/tags/v1", b"refs/tags/v2")
    envelope["payload"] = provenance.dsse.base64.b64encode(payload).decode()
    path.write_text(json.dumps(envelope))


def another_signer(release: Any) -> None:
    """Sign the same by a key of one's own."""
    path = release.published / "provenance.intoto.json"
    payload = dsse.unverified(path.read_bytes())
    path.write_bytes(dsse.sign(payload, intoto.PAYLOAD_TYPE, [CryptoSigner.generate_ed25519()]))


@needs_cosign
@pytest.mark.parametrize("tamper", [another_file, another_statement, another_signer])
def test_cosign_refuses_what_was_tampered_with(published: Any, tamper: Callable[[Any], None]) -> None:
    """The file, the statement, or who signed it."""
    tamper(published)

    assert published.cosign(*ATTESTATION, "disk.img").returncode != 0
