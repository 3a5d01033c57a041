"""Where CI runs, by the variables that GitHub and Forgejo set for every step. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ec_closure.errors import UsageError
from ec_release.attesting.provenance import Run

if TYPE_CHECKING:
    from collections.abc import Mapping


def of_environment(environment: Mapping[str, str], given: Mapping[str, str | None], *, tool_version: str) -> Run:
    """Return the run that *given* describes, and *environment* where it says nothing.

    The attempt is left out: CI that runs again signs the same bytes again. Raises `UsageError` for what nobody says,
    and for an address with a password in it.
    """
    server, name = environment.get("GITHUB_SERVER_URL", "").rstrip("/"), environment.get("GITHUB_REPOSITORY", "")
    repository = given.get("repository") or (f"{server}/{name}" if server and name else None)
    if repository is None:
        raise UsageError("nobody says where the source is published", hint="outside CI give --repository-url URL")
    parts = urlsplit(repository)
    if not parts.scheme or parts.username is not None:
        raise UsageError("the repository's address has a scheme, and no user in it", place="--repository-url")
    ref = given.get("ref") or environment.get("GITHUB_REF")
    if not ref:
        raise UsageError("nobody says which ref was built", hint="outside CI give --ref refs/tags/TAG")
    # The pages of runs are numbered within the repository on Forgejo, over all repositories on GitHub.
    forgejo = environment.get("FORGEJO_ACTIONS") == "true" or environment.get("GITEA_ACTIONS") == "true"
    number = environment.get("GITHUB_RUN_NUMBER" if forgejo else "GITHUB_RUN_ID")
    workflow = environment.get("GITHUB_WORKFLOW_REF")
    return Run(
        repository=repository,
        ref=ref,
        builder_id=given.get("builder_id") or (f"{server}/{workflow}" if server and workflow else repository),
        invocation=given.get("invocation") or (f"{repository}/actions/runs/{number}" if number else None),
        tool_version=tool_version,
    )
