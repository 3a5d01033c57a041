"""A case travels whole: what a judge was given on one machine, another is given elsewhere."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ec_closure.errors import BadInputError
from ec_closure.policy import Policy
from ec_verify.evidence import document as documents
from ec_verify.evidence.document import CaseDocument, UnknownFieldError, decode, document, encode
from ec_verify.judge import Case
from ec_verify.model import Problem
from ec_verify.scan.entries import Entry
from ec_verify.scan.metadata import Anomaly

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_verify.conftest import Names, Scene


@pytest.mark.parametrize("level", ["bytes", "source", "rebuild", "full"])
def test_every_part_of_a_case_travels(scenes: Callable[..., Scene], names: type[Names], level: str) -> None:
    """A new field that does not survive, or a type that is not known here, shows: see `document._NAMES`."""
    scene = scenes(level).look(names.tool, anomalies=(Anomaly("mode", "bin", "mode 0777"),))
    sent = document(scene.observe(entries=(Entry("evil", "extra"),), problems=(Problem("EV211", "x"),)).case)

    found = decode(encode(sent), what="case")

    assert sent == found
    assert encode(sent) == encode(found)


def test_every_table_of_a_case_has_texts_for_keys() -> None:
    """The document is JSON: another key would end the run that fills the table, and no other."""
    tables = {
        f"{kind.__name__}.{name}": typing.get_args(hint)[0]
        for kind in reachable(Case)
        for name, hint in kind.__annotations__.items()
        if typing.get_origin(hint) in (dict, Mapping)
    }

    assert "Audit.outputs" in tables
    assert {str} == set(tables.values()), tables


def reachable(root: type) -> set[type]:
    """Return the dataclasses that a value of *root* may hold."""
    found, todo = set(), [root]
    while todo:
        kind = todo.pop()
        if kind not in found:
            found.add(kind)
            todo.extend(part for hint in kind.__annotations__.values() for part in documents._classes(hint))
    return found


def test_names_that_are_no_utf_8_travel(scene: Scene) -> None:
    """They are bytes that an intruder chose."""
    sent = document(scene.observe(entries=(Entry("evil-\udcff\0é", "extra"),)).case)

    assert sent == decode(encode(sent), what="case")


def test_a_field_of_another_version_is_refused_and_a_missing_one_has_its_default(scene: Scene) -> None:
    """What is not understood must not be passed over; what an older version did not look at is not made up."""
    sent = document(scene.case)
    data = encode(sent)

    with pytest.raises(UnknownFieldError, match="novelty"):
        decode(data.replace(b'"partial":', b'"novelty":[1],"partial":'), what="case")
    assert sent == decode(data.replace(b'"partial":[],', b""), what="case")


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 100_000, b"null", b"\xff", b'{"schema":"ec-runner.case.v2"}'])
def test_what_is_no_case_is_refused(data: bytes) -> None:
    """With a typed error."""
    with pytest.raises(BadInputError):
        decode(data, what="case")


def test_manifests_and_policy_stay_out(scene: Scene) -> None:
    """They are signed elsewhere, and never taken from the node's word."""
    assert (None, ()) == ((sent := document(scene.case)).case.trust.manifest, sent.case.trust.others)
    assert sent == document(replace(scene.case, policy=Policy(level="full")))
    assert isinstance(sent, CaseDocument)
    assert documents.MAX_BYTES > len(encode(sent))
