"""Names: of outputs as Nix reads them on a command line, of images as registries take them.

Grammar of registries: github.com/opencontainers/distribution-spec, spec.md, "Pulling manifests".
"""

from __future__ import annotations

import re

from ec_closure.decoding import excerpt
from ec_release.images.errors import NamingError

SUFFIX = "-image"
_BARE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_'-]*")
# What means itself between quotes, in the fragment of an address: no ^ (outputs), no % (escapes), no blanks.
_QUOTED = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_'.+-]*")
_SYSTEM = re.compile(r"[a-z0-9_]{1,32}-[a-z0-9_]{1,32}")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_BASE = re.compile(_COMPONENT)
_NAMESPACE = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_REGISTRY = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_MAX_NAME = 200
_MAX_BASE = 128
_MAX_REPOSITORY = 255


def attribute(name: str) -> str:
    """Return the output's *name* as it stands in an attribute path: quoted if it must be. Raises `NamingError`."""
    if len(name) <= _MAX_NAME and _BARE.fullmatch(name):
        return name
    if len(name) <= _MAX_NAME and _QUOTED.fullmatch(name):
        return f'"{name}"'
    raise NamingError("has a name that cannot be given to Nix on a command line", place=excerpt(name, 80))


def system(text: str) -> str:
    """Return *text* if it names a system, `x86_64-linux`. Raises `NamingError`."""
    if not _SYSTEM.fullmatch(text):
        raise NamingError(f"{excerpt(text, 40)!r} is no system", hint="write one like x86_64-linux")
    return text


def is_image(name: str) -> bool:
    """Tell whether an output of this *name* is an image by its name."""
    return name.endswith(SUFFIX) and name != SUFFIX


def base(name: str) -> str:
    """Return what the image of the output *name* is called: without `-image`. Raises `NamingError`."""
    found = name.removesuffix(SUFFIX)
    if not is_image(name):
        raise NamingError(f"does not end with {SUFFIX}, as outputs do that are images", place=excerpt(name, 80))
    return image(found)


def image(text: str) -> str:
    """Return *text* if a registry takes it as the last part of a name. Raises `NamingError`."""
    if len(text) > _MAX_BASE or not _BASE.fullmatch(text):
        raise NamingError(
            "is no name of an image",
            place=excerpt(text, 80),
            hint="registries take small letters and digits, with single . _ - between them",
        )
    return text


def repository(registry: str, namespace: str, name: str) -> str:
    """Return where the image *name* goes, `ghcr.io/owner/repository/name`. Raises `NamingError`.

    The namespace is made small: forges keep the case of owners, registries take none.
    """
    if not _REGISTRY.fullmatch(registry):
        raise NamingError("is no registry", place=excerpt(registry, 80), hint="a host, with a port or without: ghcr.io")
    small = namespace.lower()
    if not _NAMESPACE.fullmatch(small):
        raise NamingError("is no namespace", place=excerpt(namespace, 80), hint="owner/repository, as in an address")
    path = f"{small}/{image(name)}"
    if len(path) > _MAX_REPOSITORY:
        raise NamingError(f"is longer than {_MAX_REPOSITORY} characters", place=excerpt(path, 80))
    return f"{registry}/{path}"


def tag(text: str) -> str:
    """Return *text* if it is a tag. Raises `NamingError`."""
    if not _TAG.fullmatch(text):
        raise NamingError("is no tag", place=excerpt(text, 80), hint="letters, digits and _ . -, 128 at most")
    return text
