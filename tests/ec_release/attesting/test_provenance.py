"""Provenance: what it says, who signed it, and that it is about this very release."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from securesystemslib.signer import CryptoSigner
from tests.ec_release.whole_release import LOCK, SRI

from ec_closure import dsse, intoto
from ec_closure.dsse import SignatureError
from ec_closure.errors import BadInputError, UsageError
from ec_release.attesting import ci_run, provenance
from ec_release.closure import lock
from ec_release.errors import AssetError

if TYPE_CHECKING:
    from ec_closure.manifest import Manifest
    from ec_release.attesting.provenance import ProvenanceStatement

RUN = provenance.Run(
    repository="https://git.example.org/o/r",
    ref="refs/tags/v1",
    builder_id="https://git.example.org/o/r/.forgejo/workflows/x.yml@refs/tags/v1",
    invocation="https://git.example.org/o/r/actions/runs/7",
    tool_version="1",
)
SUBJECTS = {"disk.img": "1" * 64, "runner.cdx.json": "2" * 64}


@pytest.fixture
def statement(system: Manifest) -> ProvenanceStatement:
    """Give a statement about two files."""
    return provenance.make(RUN, [system], lock.decode(LOCK), SUBJECTS)


def test_it_says_what_went_in_and_what_came_out(statement: ProvenanceStatement) -> None:
    """In the fields of SLSA provenance v1."""
    told = json.loads(msgspec.json.encode(statement))

    assert told["_type"] == "https://in-toto.io/Statement/v1"
    assert told["predicateType"] == "https://slsa.dev/provenance/v1"
    assert told["subject"] == [
        {"name": "disk.img", "digest": {"sha256": "1" * 64}},
        {"name": "runner.cdx.json", "digest": {"sha256": "2" * 64}},
    ]
    assert told["predicate"]["buildDefinition"] == {
        "buildType": "https://every.channel/build-types/runner-release/v1",
        "externalParameters": {
            "repository": "https://git.example.org/o/r",
            "ref": "refs/tags/v1",
            "systems": [{"name": "runner", "attr": "systems.runner"}],
        },
        "internalParameters": {"sandbox": True, "platforms": ["x86_64-linux"]},
        "resolvedDependencies": [
            {
                "name": "source",
                "uri": "git+https://git.example.org/o/r@refs/tags/v1",
                "digest": {"narHash": SRI, "gitCommit": "a" * 40},
            },
            {
                "name": "inputs/nixpkgs",
                "uri": "git+https://github.com/NixOS/nixpkgs",
                "digest": {"narHash": SRI, "gitCommit": "b" * 40},
            },
        ],
    }
    assert told["predicate"]["runDetails"] == {
        "builder": {"id": RUN.builder_id, "version": {"ec-release": "1", "nix": "2.8.0"}},
        "metadata": {"invocationId": RUN.invocation},
        "byproducts": [{"name": f"/nix/store/{'9' * 32}-runner", "digest": {"narHash": SRI}}],
    }


def test_it_is_signed_and_read_again(statement: ProvenanceStatement) -> None:
    """The same statement gives the same bytes, so that CI may run again."""
    signer = CryptoSigner.generate_ed25519()
    data = provenance.sign(statement, [signer])

    assert data == provenance.sign(statement, [signer])
    assert provenance.verify(data, [signer.public_key], 1, what="x") == statement


def test_another_key_is_refused(statement: ProvenanceStatement) -> None:
    """Before anything in it is parsed."""
    data = provenance.sign(statement, [CryptoSigner.generate_ed25519()])
    with pytest.raises(SignatureError):
        provenance.verify(data, [CryptoSigner.generate_ed25519().public_key], 1, what="x")


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"_type":"https://in-toto.io/Statement/v1"}', b"[" * 10_000])
def test_what_was_signed_and_is_no_provenance_is_refused(payload: bytes) -> None:
    """With an error of ours."""
    signer = CryptoSigner.generate_ed25519()
    data = dsse.sign(payload, intoto.PAYLOAD_TYPE, [signer])
    with pytest.raises(BadInputError):
        provenance.verify(data, [signer.public_key], 1, what="x")


def changed(statement: ProvenanceStatement, where: str, value: Any) -> ProvenanceStatement:
    """Return the statement with another value at a place of its JSON form."""
    document = json.loads(msgspec.json.encode(statement))
    *path, last = [int(step) if step.isdigit() else step for step in where.split(".")]
    here = document
    for step in path:
        here = here[step]
    here[last] = value
    return msgspec.convert(document, provenance.ProvenanceStatement)


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        ("subject.0.digest.sha256", "3" * 64, r"names another disk\.img"),
        ("subject.0.name", "other.img", r"does not name disk\.img"),
        ("subject.0.name", "runner.cdx.json", "names an asset twice"),
        (
            "subject",
            [{"name": n, "digest": {"sha256": d}} for n, d in {**SUBJECTS, "extra.img": "4" * 64}.items()],
            r"names, though it is not in the release, extra\.img",
        ),
        ("predicate.buildDefinition.externalParameters.systems", [], "other systems"),
        ("predicate.buildDefinition.resolvedDependencies.0.digest.gitCommit", "c" * 40, "another source than runner"),
        ("predicate.buildDefinition.resolvedDependencies.0.digest.narHash", "sha256-x", "another source than runner"),
        ("predicate.buildDefinition.resolvedDependencies.1.digest.narHash", "sha256-x", "another input nixpkgs"),
        ("predicate.buildDefinition.resolvedDependencies", [], "another source"),
        ("predicate.runDetails.byproducts.0.digest.narHash", "sha256-x", "other store paths"),
        ("predicate.runDetails.byproducts", [], "other store paths"),
    ],
)
def test_what_does_not_fit_the_release_is_named(
    statement: ProvenanceStatement, system: Manifest, where: str, value: Any, message: str
) -> None:
    """Every statement that the release itself can contradict."""
    provenance.compare(statement, [system], SUBJECTS, what="x")
    with pytest.raises(AssetError, match=message):
        provenance.compare(changed(statement, where, value), [system], SUBJECTS, what="x")


def test_another_lock_file_is_refused(system: Manifest) -> None:
    """Its commits would be claimed for inputs that they are not."""
    with pytest.raises(UsageError, match="lock file"):
        provenance.make(RUN, [system], lock.decode(LOCK + b"\n"), SUBJECTS)


def test_systems_of_two_sources_are_refused(system: Manifest) -> None:
    """One statement is about one build."""
    other = msgspec.structs.replace(system, source=msgspec.structs.replace(system.source, rev="c" * 40))
    with pytest.raises(UsageError, match="two releases or sources"):
        provenance.make(RUN, [system, other], lock.decode(LOCK), SUBJECTS)


CI = {
    "GITHUB_SERVER_URL": "https://git.example.org",
    "GITHUB_REPOSITORY": "o/r",
    "GITHUB_REF": "refs/tags/v1",
    "GITHUB_RUN_ID": "4711",
    "GITHUB_RUN_NUMBER": "7",
}


@pytest.mark.parametrize(
    ("more", "invocation", "builder"),
    [
        ({}, "https://git.example.org/o/r/actions/runs/4711", "https://git.example.org/o/r"),
        ({"FORGEJO_ACTIONS": "true"}, "https://git.example.org/o/r/actions/runs/7", "https://git.example.org/o/r"),
        (
            {"GITHUB_WORKFLOW_REF": "o/r/.github/workflows/x.yml@refs/tags/v1", "GITHUB_RUN_ATTEMPT": "2"},
            "https://git.example.org/o/r/actions/runs/4711",
            "https://git.example.org/o/r/.github/workflows/x.yml@refs/tags/v1",
        ),
    ],
)
def test_ci_says_where_it_runs(more: dict[str, str], invocation: str, builder: str) -> None:
    """On GitHub and on Forgejo; which attempt it is does not count, so that it may run again."""
    run = ci_run.of_environment(CI | more, {}, tool_version="1")

    assert (run.repository, run.ref) == ("https://git.example.org/o/r", "refs/tags/v1")
    assert (run.invocation, run.builder_id) == (invocation, builder)


@pytest.mark.parametrize(
    ("environment", "given", "message"),
    [
        ({}, {}, "where the source is published"),
        (CI | {"GITHUB_REF": ""}, {}, "which ref"),
        (CI, {"repository": "https://user:secret@git.example.org/o/r"}, "no user in it"),
        (CI, {"repository": "git.example.org/o/r"}, "scheme"),
    ],
)
def test_what_nobody_says_is_asked_for(environment: dict[str, str], given: dict[str, str | None], message: str) -> None:
    """And a password is not published."""
    with pytest.raises(UsageError, match=message) as error:
        ci_run.of_environment(environment, given, tool_version="1")

    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("locked", "uri"),
    [
        ({"type": "github", "owner": "o", "repo": "r"}, "git+https://github.com/o/r"),
        ({"type": "github", "owner": "o", "repo": "r", "host": "ghe.example.org"}, "git+https://ghe.example.org/o/r"),
        ({"type": "gitlab", "owner": "o", "repo": "r"}, "git+https://gitlab.com/o/r"),
        ({"type": "sourcehut", "owner": "~o", "repo": "r"}, "git+https://git.sr.ht/~o/r"),
        ({"type": "git", "url": "https://git.example.org/r"}, "git+https://git.example.org/r"),
        ({"type": "tarball", "url": "https://example.org/x.tar.gz"}, "https://example.org/x.tar.gz"),
        ({"type": "path", "path": "/nix/x"}, None),
    ],
)
def test_inputs_say_where_they_come_from(locked: dict[str, str], uri: str | None) -> None:
    """As the lock file has it."""
    nodes = {"root": {}, "x": {"locked": {**locked, "narHash": SRI}}}
    read = lock.decode(json.dumps({"version": 7, "root": "root", "nodes": nodes}).encode())

    assert [entry.uri for entry in read.inputs] == [uri]


def test_the_command_signs_with_the_keys_of_targets(release: Any) -> None:
    """All assets but the check-sums are its subjects; an older provenance among them is not."""
    result = release.run_provenance()

    assert result["subjects"] == 3
    assert len(result["signed_by"]) == 1
    statement = json.loads(dsse.unverified(release.provenance.read_bytes()))
    assert [one["name"] for one in statement["subject"]] == ["disk.img", "runner.cdx.json", "runner.closure.json.zst"]


def test_without_the_key_nothing_is_written(release: Any) -> None:
    """A statement that nobody signed is none."""
    release.provenance.unlink()
    (release.place.keys / "targets-1.pem").unlink()
    code, _, err = release.command(*release.provenance_arguments())

    assert code == 3
    assert "keys of the targets role are needed" in err
    assert not release.provenance.exists()
