"""How an image was built, as the predicate of a SLSA provenance statement v1; cosign signs it with the image's digest.

What the fields mean is told in docs/container.md. Everything in it is told by the runner, and taken for true here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from ec_closure.decoding import excerpt
from ec_release.container.base import check_digest
from ec_release.container.errors import EventError

BUILD_TYPE = "https://every.channel/build-types/dashboard-image/v1"
DOCKERFILE = "app/Dockerfile"
WORKFLOW = ".github/workflows/container.yml"
_SERVER = re.compile(r"https://[a-z0-9.-]+")
_REPOSITORY = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")
_REF = re.compile(r"refs/(?:heads|tags)/[A-Za-z0-9._/+-]{1,200}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NUMBER = re.compile(r"[0-9]{1,20}")


@dataclass(frozen=True)
class Run:
    """One run of the workflow, as the runner tells it. Raises `EventError` for what cannot be."""

    server: str
    repository: str
    ref: str
    commit: str
    run: str
    attempt: str

    def __post_init__(self) -> None:
        for name, pattern in (
            ("server", _SERVER), ("repository", _REPOSITORY), ("ref", _REF), ("commit", _COMMIT), ("run", _NUMBER),
            ("attempt", _NUMBER),
        ):  # fmt: skip
            if not pattern.fullmatch(getattr(self, name)):
                raise EventError(f"no {name} of a run: {excerpt(getattr(self, name), 100)!r}")

    @property
    def identity(self) -> str:
        """Who signs: the workflow at the ref that it ran for, as the certificate names it."""
        return f"{self.server}/{self.repository}/{WORKFLOW}@{self.ref}"


def predicate(run: Run, *, base_name: str, base_digest: str) -> bytes:
    """Return the predicate as JSON: what was asked for, what went in, who built. Raises `EventError`, `BaseError`."""
    algorithm, _, digest = check_digest(base_digest).partition(":")
    source = f"git+{run.server}/{run.repository}"
    document: dict[str, Any] = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "dockerfile": DOCKERFILE,
                "workflow": {"path": WORKFLOW, "ref": run.ref, "repository": f"{run.server}/{run.repository}"},
            },
            "resolvedDependencies": [
                {"uri": f"{source}@{run.ref}", "digest": {"gitCommit": run.commit}},
                {"uri": f"docker://{base_name}", "digest": {algorithm: digest}},
            ],
        },
        "runDetails": {
            "builder": {"id": run.identity},
            "metadata": {
                "invocationId": f"{run.server}/{run.repository}/actions/runs/{run.run}/attempts/{run.attempt}"
            },
        },
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
