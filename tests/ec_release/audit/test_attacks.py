"""Each kind of tampering with a published release is named: by who runs the server, and by who holds CI's keys."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from securesystemslib.signer import CryptoSigner
from tests.ec_release.whole_release import OTHER_SRI, described
from tuf.api.metadata import Metadata

from ec_closure import dsse, intoto, manifest
from ec_release.attesting import cyclonedx, sbom
from ec_release.attesting.seal import Seal
from ec_release.trust.keys import load_private
from ec_release.trust.published import load
from ec_release.trust.update import write

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Audited


def resigned(path: Any) -> None:
    """Sign a metadata file with a key that nobody trusts."""
    metadata: Metadata[Any] = Metadata.from_bytes(path.read_bytes())
    metadata.signed.unrecognized_fields["added"] = 1
    metadata.signatures.clear()
    metadata.sign(CryptoSigner.generate_ed25519())
    path.write_bytes(metadata.to_bytes())


def trust(audited: Audited, name: str) -> Any:
    """Return a metadata file."""
    return audited.place.tree / "download/trust" / name


def impostor(audited: Audited) -> None:
    """Put another repository, valid in itself, in the place of ours."""
    other = type(audited.place)(audited.place.path / "impostor", audited.place.time)
    other.path.mkdir()
    other.initialise()
    other.publish(1)
    shutil.rmtree(audited.place.tree / "download")
    shutil.copytree(other.tree / "download", audited.place.tree / "download")


def replace_asset(name: str, data: bytes) -> Callable[[Audited], object]:
    """Return what puts other bytes in the place of an asset."""
    return lambda audited: (audited.published / name).write_bytes(data)


ON_THE_SERVER: dict[str, tuple[Callable[[Audited], object], str, str]] = {
    "an asset of the same length": (replace_asset("disk.img", b"imagE"), "assets", "disk.img: has another SHA-256"),
    "a shorter asset": (replace_asset("disk.img", b"i"), "assets", "disk.img: has 1 bytes where 5 are signed"),
    "a longer asset": (replace_asset("disk.img", b"x" * 99), "assets", "disk.img: is longer than the 5 bytes"),
    "an asset taken away": (
        lambda audited: (audited.published / "disk.img").unlink(),
        "assets",
        "disk.img: is signed, and is not there",
    ),
    "an asset that nobody signed": (
        lambda audited: (audited.published / "extra.img").write_bytes(b"x"),
        "listing",
        "extra.img: no metadata vouch for it",
    ),
    "other check-sums": (replace_asset("SHA256SUMS", b""), "assets", "SHA256SUMS: has 0 bytes"),
    "another signature of the check-sums": (
        lambda audited: (audited.published / "SHA256SUMS.sig").write_bytes(
            Seal((), 1, (CryptoSigner.generate_ed25519(),)).sign((audited.published / "SHA256SUMS").read_bytes())
        ),
        "assets",
        "SHA256SUMS.sig: has another SHA-256",
    ),
    "another manifest": (
        replace_asset("runner.closure.json.zst", manifest.encode(described(name="evil"))),
        "assets",
        "runner.closure.json.zst: ",
    ),
    "another bill of materials": (replace_asset("runner.cdx.json", b"{}"), "assets", "runner.cdx.json: has 2 bytes"),
    "another provenance": (replace_asset("provenance.intoto.json", b"{}"), "assets", "provenance.intoto.json: has 2"),
    "metadata of a stranger": (
        lambda audited: resigned(trust(audited, "timestamp.json")),
        "metadata",
        "timestamp.json",
    ),
    "targets of a stranger": (lambda audited: resigned(trust(audited, "2.targets.json")), "metadata", "2.targets.json"),
    "older targets of a stranger": (
        lambda audited: resigned(trust(audited, "1.targets.json")),
        "history",
        "1.targets.json: is not signed by the keys of any root",
    ),
    "an older snapshot of a stranger": (
        lambda audited: resigned(trust(audited, "1.snapshot.json")),
        "history",
        "1.snapshot.json: is not signed by the keys of any root",
    ),
    "an older state taken away": (
        lambda audited: trust(audited, "1.targets.json").unlink(),
        "history",
        "1.targets.json: is missing",
    ),
    "a state in the place of another": (
        lambda audited: shutil.copy(trust(audited, "2.targets.json"), trust(audited, "1.targets.json")),
        "history",
        "1.targets.json: holds version 2",
    ),
    "rubbish in the place of an older state": (
        lambda audited: trust(audited, "1.snapshot.json").write_bytes(b"["),
        "history",
        "1.snapshot.json: malformed",
    ),
    "the first root taken away": (
        lambda audited: trust(audited, "1.root.json").unlink(),
        "history",
        "1.root.json: is missing",
    ),
    "another first root": (
        lambda audited: resigned(trust(audited, "1.root.json")),
        "history",
        "1.root.json: is another than the pinned root",
    ),
    "another repository": (impostor, "metadata", ""),
}


@pytest.mark.parametrize("name", ON_THE_SERVER)
def test_what_the_server_does_is_named(audited: Audited, name: str) -> None:
    """With the check that noticed, and the file."""
    attack, check, message = ON_THE_SERVER[name]
    assert audited.failing() == {}
    attack(audited)
    failed = audited.failing()

    assert check in failed
    assert any(message in problem for problem in failed[check]), failed


def test_a_server_that_is_held_back_is_noticed(audited: Audited) -> None:
    """The timestamp's end is what limits it."""
    audited.place.time += timedelta(days=8)

    assert "expired" in audited.failing()["metadata"][0]


def test_a_release_that_was_hidden_is_noticed(unpublished: Audited) -> None:
    """An older timestamp is validly signed, and knows nothing of the release."""
    before = trust(unpublished, "timestamp.json").read_bytes()
    unpublished.publish()
    trust(unpublished, "timestamp.json").write_bytes(before)

    assert unpublished.failing()["metadata"] == ["they vouch for nothing under the tag v1"]


WRONG = f"{'0' * 64}  disk.img\n".encode()


def bill(source: manifest.Source, **changes: Any) -> bytes:
    """Return the bill of materials of another system."""
    return cyclonedx.encode(sbom.make(msgspec.structs.replace(described(source=source), **changes), tool_version="1"))


def reattested(audited: Audited, old: bytes, new: bytes, *, signer: CryptoSigner | None = None) -> bytes:
    """Return the provenance with other words, signed by CI's key or by *signer*."""
    payload = dsse.unverified(audited.provenance.read_bytes())
    assert old in payload
    ours = load_private(audited.place.keys / "targets-1.pem")
    return dsse.sign(payload.replace(old, new), intoto.PAYLOAD_TYPE, [signer or ours])


BY_CI: dict[str, tuple[Callable[[Audited], dict[str, bytes]], str, str]] = {
    "check-sums that leave files out": (
        lambda _: {"SHA256SUMS": b""},
        "sums",
        "does not name disk.img",
    ),
    "check-sums of other bytes": (
        lambda _: {"SHA256SUMS": WRONG},
        "sums",
        "has another SHA-256 of disk.img",
    ),
    "check-sums that name a file twice": (
        lambda _: {"SHA256SUMS": WRONG * 2},
        "sums",
        "names disk.img twice",
    ),
    "check-sums that are none": (
        lambda _: {"SHA256SUMS": b"rubbish\n"},
        "sums",
        "line 1 is no check-sum",
    ),
    "check-sums of a file that is not there": (
        lambda _: {"SHA256SUMS": f"{'0' * 64}  gone.img\n".encode()},
        "sums",
        "names gone.img, which is not as it was signed",
    ),
    "a signature by another key": (
        lambda _: {"SHA256SUMS.sig": Seal((), 1, (CryptoSigner.generate_ed25519(),)).sign(b"x")},
        "sums-signature",
        "is not signed by a key of the targets role",
    ),
    "a signature that is none": (lambda _: {"SHA256SUMS.sig": b"!"}, "sums-signature", "not base64"),
    "a manifest of another system": (
        lambda _: {"runner.closure.json.zst": manifest.encode(described(name="evil"))},
        "manifests",
        "of another system or release",
    ),
    "a manifest that is none": (
        lambda _: {"runner.closure.json.zst": b"x"},
        "manifests",
        "runner.closure.json.zst",
    ),
    "a manifest of another image": (
        lambda audited: {
            "runner.closure.json.zst": manifest.encode(
                msgspec.structs.replace(
                    described(source=audited.source),
                    artifacts=(manifest.Artifact(name="disk.img", sha256="0" * 64, size=5),),
                )
            )
        },
        "manifests",
        "describes another disk.img",
    ),
    "a bill of materials that leaves a path out": (
        lambda audited: {
            "runner.cdx.json": bill(
                audited.source,
                paths=(msgspec.structs.replace(described().paths[2], references=(0,)),),
            )
        },
        "sbom",
        "lacks",
    ),
    "a bill of materials that is none": (lambda _: {"runner.cdx.json": b"{}"}, "sbom", "runner.cdx.json"),
    "provenance of other bytes": (
        lambda audited: {"provenance.intoto.json": reattested(audited, b'"disk.img"', b'"risk.img"')},
        "provenance",
        "does not name disk.img",
    ),
    "provenance of another commit": (
        lambda audited: {"provenance.intoto.json": reattested(audited, str(audited.source.rev).encode(), b"c" * 40)},
        "provenance",
        "was built from another source",
    ),
    "provenance by another key": (
        lambda audited: {
            "provenance.intoto.json": reattested(audited, b"{", b"{", signer=CryptoSigner.generate_ed25519())
        },
        "provenance",
        "is not signed by the targets keys of any root",
    ),
}


@pytest.mark.parametrize("name", BY_CI)
def test_what_ci_signs_is_held_against_itself(unpublished: Audited, name: str) -> None:
    """Whoever holds CI's keys signs anything; what contradicts itself shows."""
    edit, check, message = BY_CI[name]
    unpublished.publish_edited(**edit(unpublished))
    failed = unpublished.failing()

    assert check in failed, failed
    assert any(message in problem for problem in failed[check]), failed


def test_another_source_than_the_public_one_is_noticed(unpublished: Audited) -> None:
    """CI built something else than it says: the attack that signatures do not stop."""
    unpublished.source = msgspec.structs.replace(unpublished.source, nar_hash=OTHER_SRI)
    unpublished.write()
    unpublished.publish()
    failed = unpublished.failing()

    assert set(failed) == {"source"}
    assert f"where {OTHER_SRI} is signed" in failed["source"][0]


def test_a_commit_that_is_not_public_is_noticed(unpublished: Audited) -> None:
    """Nobody can look at what it was built from."""
    unpublished.source = msgspec.structs.replace(unpublished.source, rev="e" * 40)
    unpublished.write()
    unpublished.publish()

    assert set(unpublished.failing()) == {"source", "tag"}


def test_other_inputs_than_the_public_lock_are_noticed(unpublished: Audited) -> None:
    """A manifest that claims another nixpkgs than flake.lock fixes."""
    other = {"nixpkgs": msgspec.structs.replace(unpublished.source.inputs["nixpkgs"], nar_hash=OTHER_SRI)}
    changed = msgspec.structs.replace(unpublished.source, inputs=other)
    unpublished.publish_edited(**{"runner.closure.json.zst": manifest.encode(described(source=changed))})
    failed = unpublished.failing()

    assert "the input nixpkgs is signed with another hash" in failed["inputs"][0]


def test_a_moved_tag_is_noticed(audited: Audited) -> None:
    """People who check the tag out get something else than was released."""
    audited.public.commit(flake__nix=b"another\n")
    audited.public.git("tag", "--force", "v1")
    failed = audited.failing()

    assert set(failed) == {"tag"}
    assert "the tag v1 points to" in failed["tag"][0]


def test_a_deleted_tag_is_noticed(audited: Audited) -> None:
    """The release says that it was made from one."""
    audited.public.git("tag", "--delete", "v1")

    assert audited.failing() == {"tag": ["the repository has no tag v1"]}


def test_rewritten_targets_are_noticed(audited: Audited) -> None:
    """Other bytes under an old tag, signed by CI's keys and put on the server, too."""
    place = audited.place
    published = load(place.backend, place.root)
    body = published.targets.signed
    target = body.targets["v1/disk.img"]
    (audited.published / "disk.img").write_bytes(b"evil!")
    target.hashes["sha256"] = hashlib.sha256(b"evil!").hexdigest()
    write(place.backend, published, place.signing, targets=body)
    failed = audited.failing()

    assert failed["history"] == ["3.targets.json: says otherwise of v1/disk.img than before"]


@pytest.mark.parametrize(
    ("verb", "message"), [("withdraw", "release 1 is withdrawn"), ("min-version", "release 1 is below the minimum 2")]
)
def test_a_release_that_must_not_run_fails(audited: Audited, verb: str, message: str) -> None:
    """Its own publisher says so."""
    audited.place.publish(2)
    where = ("--directory", audited.place.tree, "--keys", audited.place.keys, "--time", audited.place.time.isoformat())
    audited.run("trust", verb, "1" if verb == "withdraw" else "2", *where)

    assert audited.failing() == {"standing": [message]}


def test_problems_without_end_are_cut(audited: Audited) -> None:
    """A directory of a thousand strangers does not drown the result."""
    for number in range(1000):
        (audited.published / f"stranger-{number}").write_bytes(b"")
    problems = audited.failing()["listing"]

    assert len(problems) == 100
    assert problems[-1] == "and 901 more"


def test_a_result_follows_its_schema(audited: Audited) -> None:
    """Also one with problems in it."""
    schema = json.loads((Path(__file__).parents[3] / "docs/schemas/audit.v1.schema.json").read_text())
    (audited.published / "disk.img").unlink()
    result = audited.audit()[1]

    assert [error.message for error in Draft202012Validator(schema).iter_errors(result)] == []
