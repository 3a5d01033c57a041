"""Bills of materials: what they say, that they follow the official schema, and that they belong to a manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource

from ec_closure import manifest
from ec_closure.errors import BadInputError, UsageError
from ec_release.attesting import cyclonedx, sbom
from ec_release.errors import AssetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ec_release.attesting.cyclonedx import Bom

EXCERPT = Path(__file__).parent / "data/bom-1.6.excerpt.schema.json"
OFFICIAL = Path("~/.cache/ec-runner/cyclonedx").expanduser()
GLIBC = f"{'0' * 32}-glibc-2.39-52-bin"
TOP = f"{'9' * 32}-runner"


def document(bom: Bom) -> dict[str, Any]:
    """Return what readers of JSON see."""
    read: dict[str, Any] = json.loads(cyclonedx.encode(bom))
    return read


def errors(validator: Draft7Validator, bom: dict[str, Any]) -> list[str]:
    """Return what a validator finds wrong."""
    return [error.message for error in validator.iter_errors(bom)]


def test_a_bill_follows_the_schema(bill: Bom) -> None:
    """As much of the official one as is about what we write: the rest would be a quarter of a megabyte."""
    validator = Draft7Validator(json.loads(EXCERPT.read_text()))

    assert errors(validator, document(bill)) == []
    assert errors(validator, document(bill) | {"serialNumber": "1"}) != []
    assert errors(validator, document(bill) | {"invented": 1}) != []


def test_a_bill_follows_the_whole_official_schema(bill: Bom) -> None:
    """Where it is at hand: bom-1.6, spdx and jsf-0.82 of github.com/CycloneDX/specification."""
    if not OFFICIAL.is_dir():
        pytest.skip(f"the schemas of CycloneDX are not in {OFFICIAL}")
    schemas = [json.loads(path.read_text()) for path in sorted(OFFICIAL.glob("*.schema.json"))]
    registry: Registry[Any] = Registry().with_resources([(one["$id"], Resource.from_contents(one)) for one in schemas])
    whole = next(one for one in schemas if one["$id"].endswith("bom-1.6.schema.json"))
    validator = Draft7Validator(whole, registry=registry)

    assert errors(validator, document(bill)) == []
    assert errors(validator, document(bill) | {"specVersion": 1}) != []


def test_every_store_path_is_a_component(bill: Bom) -> None:
    """With name, version, address, hash, and where it is from; what is not known is not there."""
    told = document(bill)

    assert [component["bom-ref"] for component in told["components"]] == [GLIBC, f"{'1' * 32}-etc-fstab"]
    assert told["components"][0] == {
        "bom-ref": GLIBC,
        "type": "application",
        "name": "glibc",
        "version": "2.39-52",
        "purl": f"pkg:nix/glibc@2.39-52?output=bin&outputhash={'0' * 32}",
        "hashes": [{"alg": "SHA-256", "content": "0410410410410410410410410410410410410410410410410410410410410410"}],
        "properties": [
            {"name": "ec-runner:cache", "value": "cache.example.org-1"},
            {"name": "ec-runner:origin", "value": "substituted"},
            {"name": "ec-runner:output", "value": "bin"},
            {"name": "nix:narinfo:deriver", "value": f"/nix/store/{'0' * 32}-glibc-2.39-52.drv"},
            {"name": "nix:narinfo:nar_hash", "value": "sha256-" + "B" * 42 + "A="},
            {"name": "nix:narinfo:nar_size", "value": "9"},
            {"name": "nix:store_path", "value": f"/nix/store/{GLIBC}"},
        ],
    }
    assert {"type", "name", "bom-ref", "hashes", "properties"} == set(told["components"][1])
    assert {"licenses", "supplier"}.isdisjoint(told["components"][0])


def test_the_system_is_what_the_bill_is_about(bill: Bom) -> None:
    """At the time of its commit, under its name and the release's tag."""
    about = document(bill)["metadata"]

    assert about["timestamp"] == "2026-09-21T14:13:20Z"
    assert (about["component"]["type"], about["component"]["name"]) == ("operating-system", "runner")
    assert (about["component"]["version"], about["component"]["bom-ref"]) == ("v1", TOP)
    assert {"name": "ec-runner:source-rev", "value": "a" * 40} in about["component"]["properties"]


def test_references_are_dependencies(bill: Bom) -> None:
    """To others: nothing depends on itself."""
    assert document(bill)["dependencies"] == [
        {"ref": GLIBC},
        {"ref": f"{'1' * 32}-etc-fstab"},
        {"ref": TOP, "dependsOn": [GLIBC, f"{'1' * 32}-etc-fstab"]},
    ]


def test_the_same_manifest_gives_the_same_bytes_and_number(system: manifest.Manifest) -> None:
    """And another content another number."""
    first, again = (cyclonedx.encode(sbom.make(system, tool_version="1")) for _ in range(2))
    other = sbom.make(system, tool_version="2")

    assert first == again
    assert document(other)["serialNumber"] != json.loads(first)["serialNumber"]


def test_what_an_image_holds_besides_is_listed(system: manifest.Manifest) -> None:
    """Contents of its store that the system does not need are inside all the same."""
    more = msgspec.structs.replace(system.paths[1], path=f"/nix/store/{'5' * 32}-channel-1")
    held = msgspec.structs.replace(system, contents=(more,))

    assert f"{'5' * 32}-channel-1" in {one.bom_ref for one in sbom.make(held, tool_version="1").components}


def test_a_bill_is_read_again(bill: Bom, system: manifest.Manifest) -> None:
    """And belongs to its manifest, whichever version of the program made it."""
    read = cyclonedx.decode(cyclonedx.encode(bill), what="x")

    assert read == bill
    sbom.compare(read, system, what="x")
    sbom.compare(sbom.make(system, tool_version="another"), system, what="x")


def edited(bill: Bom, **changes: Any) -> Bom:
    """Return the bill with the first component changed."""
    first = msgspec.structs.replace(bill.components[0], **changes)
    return msgspec.structs.replace(bill, components=(first, *bill.components[1:]))


TAMPERED: dict[str, tuple[Callable[[Bom], Bom], str]] = {
    "a component is left out": (
        lambda bill: msgspec.structs.replace(bill, components=bill.components[1:]),
        f"lacks {GLIBC}",
    ),
    "a component is added": (
        lambda bill: msgspec.structs.replace(
            bill, components=(*bill.components, msgspec.structs.replace(bill.components[0], bom_ref="x"))
        ),
        "lists, beyond the manifest, x",
    ),
    "a component stands twice": (
        lambda bill: msgspec.structs.replace(bill, components=(*bill.components, bill.components[0])),
        "lists a store path twice",
    ),
    "a hash is another": (
        lambda bill: edited(bill, hashes=(cyclonedx.Digest(alg="SHA-256", content="0" * 63 + "1"),)),
        f"has another hash of {GLIBC}",
    ),
    "a hash is left out": (lambda bill: edited(bill, hashes=()), f"has another hash of {GLIBC}"),
    "a dependency is left out": (
        lambda bill: msgspec.structs.replace(
            bill, dependencies=(*bill.dependencies[:2], cyclonedx.Dependency(ref=TOP, depends_on=(GLIBC,)))
        ),
        f"has other dependencies of {TOP}",
    ),
    "dependencies stand twice": (
        lambda bill: msgspec.structs.replace(bill, dependencies=(*bill.dependencies, bill.dependencies[0])),
        "lists dependencies twice",
    ),
    "it is of another release": (
        lambda bill: msgspec.structs.replace(
            bill,
            metadata=msgspec.structs.replace(
                bill.metadata, component=msgspec.structs.replace(bill.metadata.component, version="v0")
            ),
        ),
        "is of release v0",
    ),
    "it is about another system": (
        lambda bill: msgspec.structs.replace(
            bill,
            metadata=msgspec.structs.replace(
                bill.metadata, component=msgspec.structs.replace(bill.metadata.component, bom_ref="y")
            ),
        ),
        "is about y, another system",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_bill_that_does_not_fit_is_named(bill: Bom, system: manifest.Manifest, name: str) -> None:
    """What it says otherwise than the manifest is in the message."""
    tamper, message = TAMPERED[name]
    with pytest.raises(AssetError, match=message):
        sbom.compare(tamper(bill), system, what="runner.cdx.json")


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"bomFormat":"CycloneDX"}', b"[" * 100_000])
def test_what_is_no_bill_is_refused(data: bytes) -> None:
    """With an error of ours."""
    with pytest.raises(BadInputError):
        cyclonedx.decode(data, what="x")


def test_a_bill_has_one_spelling(bill: Bom) -> None:
    """White space or a second key would make other bytes with the same meaning."""
    with pytest.raises(BadInputError):
        cyclonedx.decode(cyclonedx.encode(bill).replace(b",", b", ", 1), what="x")


def test_a_time_without_a_calendar_is_refused(system: manifest.Manifest) -> None:
    """Rather than an exception of the library."""
    late = msgspec.structs.replace(system, release=msgspec.structs.replace(system.release, issued=2**53))
    with pytest.raises(UsageError, match="calendar"):
        sbom.make(late, tool_version="1")


def test_many_paths_are_no_other_work() -> None:
    """Ten thousand, of which one refers to all: each is there once."""
    out = f"/nix/store/{'z' * 32}-runner"
    records = [
        manifest.PathRecord(
            path=f"/nix/store/{number:032d}-p{number}-1.0",
            nar_hash="sha256-" + "A" * 43 + "=",
            nar_size=1,
            references=tuple(range(max(0, number - 5), number)),
            origin="copied",
        )
        for number in range(10_000)
    ]
    records.append(msgspec.structs.replace(records[0], path=out, references=tuple(range(10_000))))
    whole = manifest.Manifest(
        release=manifest.Release(tag="v1", version=1, issued=0),
        source=manifest.Source(nar_hash=records[0].nar_hash, store_path=f"/nix/store/{'1' * 32}-source"),
        system=manifest.System(name="r", attr="a", platform="p", drv_path=out + ".drv", out_path=out),
        builder=manifest.Builder(nix="2", sandbox=True, platform="p"),
        paths=tuple(records),
    )
    bill = sbom.make(whole, tool_version="1")

    assert len(bill.components) == 10_000
    assert len(bill.dependencies[-1].depends_on) == 10_000


def test_the_command_writes_one_bill_a_manifest(release: Any) -> None:
    """Under the system's name; the same bytes again."""
    before = (release.directory / "runner.cdx.json").read_bytes()
    result = release.run("sbom", release.manifest_file, "--out", release.directory)

    assert result["sboms"][0]["components"] == 3
    assert result["sboms"][0]["serial_number"] == json.loads(before)["serialNumber"]
    assert (release.directory / "runner.cdx.json").read_bytes() == before


@pytest.mark.parametrize("arguments", [[], ["dist/disk.img"], ["dist/runner.closure.json.zst"] * 2])
def test_what_makes_no_bill_is_a_mistake(release: Any, arguments: list[str]) -> None:
    """No manifest, another file, or two of one name: nothing is written over something else."""
    paths = [release.place.path / argument for argument in arguments]
    code, _, err = release.command("sbom", *paths, "--out", release.directory)

    assert code == 2
    assert "ec-release:" in err
