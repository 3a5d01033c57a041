"""What the image stands on: one base in every stage, by a digest that the registry gave for its tag. Pure."""

from __future__ import annotations

import re

import msgspec

from ec_closure import strict_json
from ec_closure.decoding import excerpt
from ec_closure.errors import BadInputError
from ec_release.container.errors import BaseError

ARGUMENT = "PYTHON_DIGEST"
MAX_BYTES = 1 << 20
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_FROM = re.compile(r"^[ \t]*FROM[ \t]+(?P<rest>.+?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_STAGE = re.compile(r"(?P<image>\S+)(?:[ \t]+AS[ \t]+(?P<name>\S+))?", re.IGNORECASE)
_PINNED = re.compile(rf"(?P<name>[a-z0-9][\w.:/-]*)@\$\{{{ARGUMENT}\}}")


class _Descriptor(msgspec.Struct, frozen=True):
    """As much as is needed of an OCI descriptor, which `docker buildx imagetools inspect` prints."""

    media_type: str = msgspec.field(name="mediaType")
    digest: str


_KINDS = {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
}


def name_in(dockerfile: str) -> str:
    """Return the base that every stage of *dockerfile* stands on: registry, name and tag, without its digest.

    A stage may stand on an earlier one. Raises `BaseError` for a second base, or one that is not `…@${PYTHON_DIGEST}`.
    """
    stages: set[str] = set()
    bases: set[str] = set()
    for match in _FROM.finditer(dockerfile):
        stage = _STAGE.fullmatch(match["rest"])
        if stage is None:
            raise BaseError(f"a stage of a kind that is not known here: {excerpt(match[0].strip())}")
        if stage["image"] not in stages:
            pinned = _PINNED.fullmatch(stage["image"])
            if pinned is None:
                raise BaseError(
                    f"a base without the digest that CI passes: {excerpt(stage['image'])}",
                    hint=f"FROM NAME:TAG@${{{ARGUMENT}}}",
                )
            bases.add(pinned["name"])
        if stage["name"]:
            stages.add(stage["name"])
    if len(bases) != 1:
        raise BaseError(f"{len(bases)} bases, where one is scanned and told")
    return bases.pop()


def check_same(name: str, inspected: str) -> None:
    """Hold the *inspected* name to the Dockerfile's *name*. Raises `BaseError`."""
    if name != inspected:
        raise BaseError(
            f"the Dockerfile stands on {name}, and the registry was asked for {excerpt(inspected, 200)}",
            hint="both change together",
        )


def digest_in(descriptor: bytes) -> str:
    """Return the digest in what a registry answered about a tag, as JSON. Raises `BaseError`."""
    try:
        found = strict_json.decode(descriptor, _Descriptor, what="descriptor of the base", max_bytes=MAX_BYTES)
    except BadInputError as error:
        raise BaseError(
            str(error), hint="it is made by: docker buildx imagetools inspect NAME --format '{{json .Manifest}}'"
        ) from error
    return check_digest(found.digest) if found.media_type in _KINDS else _refuse(found.media_type)


def check_digest(digest: str) -> str:
    """Return *digest*, which is one: `sha256:` and 64 hexadecimal digits. Raises `BaseError`."""
    if not _DIGEST.fullmatch(digest):
        raise BaseError(f"{excerpt(digest, 100)!r} is no digest", hint="sha256: and 64 hexadecimal digits")
    return digest


def _refuse(media_type: str) -> str:
    raise BaseError(f"the tag names no image but {excerpt(media_type, 100)}")
