"""What a registry says and holds: failures by what to do about them, and digests of what is really there."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from ec_release import program
from ec_release.images.errors import DeniedError, RefusedError, RegistryError

if TYPE_CHECKING:
    from pathlib import Path

    from ec_closure.errors import EcError

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MAX_MANIFEST = 4 << 20  # what registries take

# In this order: a proxy that answers 503 with a page about access is a proxy that answers 503. What matches nothing is
# tried again: a registry that is not understood costs minutes, an image that was not pushed costs a release.
_PASSING = re.compile(r"\b(?:408|425|429|5\d\d)\b|toomanyrequests|too many requests|timeout|timed out", re.IGNORECASE)
_DENIED = re.compile(
    r"\b40[13]\b|unauthorized|authentication required|access to the resource is denied|\bdenied\b|insufficient_scope"
    r"|invalid username/password|forbidden",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"\b(?:400|404|405|413|415|422)\b|name unknown|name invalid|manifest invalid|manifest unknown|not found"
    r"|invalid reference format|unsupported|x509: ",
    re.IGNORECASE,
)


def failure(error: program.FailedError, place: str) -> EcError:
    """Return what *error*, of a program that spoke to a registry, means: whether another try is worth it."""
    said = error.said or error.message
    if _PASSING.search(said):
        return RegistryError(error.message, place=place, hint="the registry, or the way to it: try again later")
    if _DENIED.search(said):
        return DeniedError(
            error.message,
            place=place,
            hint="the credentials lack the right: `permissions: packages: write`, or the package's own settings",
        )
    if _REFUSED.search(said):
        return RefusedError(error.message, place=place)
    return RegistryError(error.message, place=place, hint="the registry, or the way to it: try again later")


def digest(reference: str, auth: Path) -> str:
    """Return the digest of the manifest that *reference* names, worked out from the bytes that the registry gives.

    Raises what `failure` makes of a failure, `RefusedError` for what is no manifest.
    """
    argv = ["skopeo", "inspect", "--raw", "--authfile", str(auth), f"docker://{reference}"]
    try:
        raw = program.ask(argv, env=program.environment(), deadline=120.0).output
    except program.FailedError as error:
        raise failure(error, reference) from error
    if not raw or len(raw) > _MAX_MANIFEST:
        raise RefusedError(f"its manifest has {len(raw)} bytes", place=reference)
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"
