"""What the image stands on: one base, by the digest that the registry gave for its tag."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ec_release.container import base
from ec_release.container.errors import BaseError

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[3]
DIGEST = "sha256:" + "ab" * 32
INDEX = "application/vnd.oci.image.index.v1+json"
NAME = "docker.io/library/python:3.13-slim-trixie"


def test_the_image_stands_on_one_base() -> None:
    """That of app/Dockerfile, in both stages."""
    assert NAME == base.name_in((ROOT / "app" / "Dockerfile").read_text())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "FROM python:3.13@${PYTHON_DIGEST}\nFROM other:1@${PYTHON_DIGEST}\n",
        "FROM python:3.13\n",
        "FROM python:3.13@${PYTHON_DIGEST} AS a\nFROM b\n",
        "FROM python:3.13@${OTHER}\n",
        "FROM python:${TAG}@${PYTHON_DIGEST}\n",
        f"FROM python:3.13@{DIGEST}\n",
        "FROM --platform=$BUILDPLATFORM python:3.13@${PYTHON_DIGEST}\n",
        "FROM python:3.13@${PYTHON_DIGEST:-sha256:0}\n",
        "  from python:3.13\n",
    ],
)
def test_another_base_is_refused(text: str) -> None:
    """Two bases, one without the digest, one whose name or digest something else decides about."""
    with pytest.raises(BaseError):
        base.name_in(text)


def test_a_stage_may_stand_on_an_earlier_one() -> None:
    """It is no base then."""
    assert base.name_in("FROM a:1@${PYTHON_DIGEST} AS x\nFROM x AS y\nFROM a:1@${PYTHON_DIGEST}\n") == "a:1"


def test_the_digest_is_the_registrys() -> None:
    """With whatever else its answer holds."""
    answer = {"schemaVersion": 2, "mediaType": INDEX, "digest": DIGEST, "size": 9, "manifests": [{"digest": "other"}]}

    assert base.digest_in(json.dumps(answer).encode()) == DIGEST


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"null",
        b"{}",
        b'{"mediaType": "%b"}' % INDEX.encode(),
        json.dumps({"mediaType": "text/html", "digest": DIGEST}).encode(),
        json.dumps({"mediaType": INDEX, "digest": "sha256:abc"}).encode(),
        json.dumps({"mediaType": INDEX, "digest": DIGEST + "\n"}).encode(),
        json.dumps({"mediaType": INDEX, "digest": DIGEST.replace("sha256", "sha512")}).encode(),
        b'{"mediaType": "%b", "digest": "x", "digest": "%b"}' % (INDEX.encode(), DIGEST.encode()),
        b" " * (base.MAX_BYTES + 1),
    ],
)
def test_an_answer_that_is_none_is_refused(answer: bytes) -> None:
    """Empty, without a digest, of something else, with two digests, too large."""
    with pytest.raises(BaseError):
        base.digest_in(answer)


def run(command: Command, tmp_path: Path, inspected: str) -> tuple[int, str, str]:
    """Ask for the base of app/Dockerfile."""
    (tmp_path / "base.json").write_text(json.dumps({"mediaType": INDEX, "digest": DIGEST}))
    dockerfile = ROOT / "app" / "Dockerfile"
    return command(
        "image-base", "--dockerfile", dockerfile, "--descriptor", tmp_path / "base.json", "--inspected", inspected
    )


def test_the_command_tells_name_and_digest(command: Command, tmp_path: Path) -> None:
    """What is built on, and what is passed as the argument."""
    assert run(command, tmp_path, NAME) == (0, f"name: {NAME}\ndigest: {DIGEST}\n", "")


def test_asking_for_another_base_is_refused(command: Command, tmp_path: Path) -> None:
    """The digest of one image would be put behind the name of another."""
    code, out, err = run(command, tmp_path, "docker.io/library/python:3.14-slim-trixie")

    assert (code, out) == (2, "")
    assert "both change together" in err


def test_a_file_that_is_not_there_is_named(command: Command, tmp_path: Path) -> None:
    """One line."""
    code, _, err = command(
        "image-base", "--dockerfile", tmp_path / "x", "--descriptor", tmp_path / "y", "--inspected", NAME
    )

    assert code == 2
    assert f"{tmp_path}/x: cannot be read" in err
