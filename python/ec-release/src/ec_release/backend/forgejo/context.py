"""Where a run of CI takes place: server, repository, commit and token, as its environment says. Pure.

Forgejo's runner speaks GitHub's names; `FORGEJO_…` wins where both are set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ec_closure.errors import UsageError
from ec_fetch.origin import check_address, origin_of

if TYPE_CHECKING:
    from collections.abc import Mapping

OWN_TOKEN = "EC_RELEASE_TOKEN"  # noqa: S105 - the name of a variable
_RUN_TOKENS = ("FORGEJO_TOKEN", "GITHUB_TOKEN")


@dataclass(frozen=True)
class Location:
    """A repository: *server* and *api* are addresses, *owner* and *name* its two names.

    *commit* is what CI checked out of it; *of_run* says whether the server is the one that CI itself runs for.
    """

    server: str
    api: str
    owner: str
    name: str
    commit: str | None
    of_run: bool


def locate(environment: Mapping[str, str], server: str | None, repository: str | None) -> Location | None:
    """Return the repository that is named, with what *environment* says for what is not; None when nothing names one.

    Raises `UsageError`.
    """
    run_server = _first(environment, "FORGEJO_SERVER_URL", "GITHUB_SERVER_URL")
    run_repository = _first(environment, "FORGEJO_REPOSITORY", "GITHUB_REPOSITORY")
    if server is None and repository is None and not (run_server and run_repository):
        return None
    chosen = (server or run_server or "").rstrip("/")
    if not chosen:
        raise UsageError("--repository without --server", hint="name the server: --server https://git.example.org")
    if urlsplit(chosen).scheme not in {"http", "https"}:
        raise UsageError(f"{chosen!r} is no address of a server", place="--server", hint="https://git.example.org")
    check_address(chosen, what="--server")
    path = repository or run_repository or ""
    owner, slash, name = path.partition("/")
    if not (owner and slash and name) or "/" in name:
        raise UsageError(f"{path!r} is no repository", place="--repository", hint="--repository OWNER/NAME")
    of_run = run_server is not None and origin_of(chosen) == origin_of(run_server)
    api = _first(environment, "FORGEJO_API_URL", "GITHUB_API_URL") if of_run else None
    same = of_run and path == run_repository
    commit = _first(environment, "FORGEJO_SHA", "GITHUB_SHA") if same else None
    return Location(chosen, (api or f"{chosen}/api/v1").rstrip("/"), owner, name, commit, of_run)


def run_token(environment: Mapping[str, str], location: Location) -> str | None:
    """Return the token in *environment* for *location*: the run's own goes to the run's own server and nowhere else."""
    names = (OWN_TOKEN, *_RUN_TOKENS) if location.of_run else (OWN_TOKEN,)
    token = _first(environment, *names)
    if token is not None and not all("!" <= character <= "~" for character in token):
        # It becomes a header: a line break in it would write further ones.
        raise UsageError("the token in the environment is not one line of printable characters")
    return token


def _first(environment: Mapping[str, str], *names: str) -> str | None:
    return next((environment[name].strip() for name in names if environment.get(name, "").strip()), None)
