"""`ec-release audit`: check a published release as a stranger."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - cyclopts reads annotations at run time
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from ec_closure.audit import Audit
    from ec_release.audit.public import Public

_EXITS = {"passed": 0, "failed": 1, "undecided": 3}


def audit(
    tag: Annotated[str, Parameter(help="The release's tag.")],
    /,
    *,
    root: Annotated[Path, Parameter(help="The pinned root: all that you have to trust.")],
    directory: Annotated[Path | None, Parameter(help="A published tree.")] = None,
    server: Annotated[str | None, Parameter(help="A Forgejo, https://HOST.")] = None,
    repository: Annotated[str | None, Parameter(help="OWNER/NAME on that server.")] = None,
    base_url: Annotated[str | None, Parameter(help="The address of …/releases/download/ on any web server.")] = None,
    source: Annotated[str | None, Parameter(help="The public git repository: an address or a path.")] = None,
    allowed_signers: Annotated[
        Path | None, Parameter(help="Who may sign tags, as ssh-keygen reads it; then the tag must be signed.")
    ] = None,
    skip: Annotated[
        tuple[str, ...], Parameter(help="A check that is not asked for; given again, more.", negative=())
    ] = (),
    ca_file: Annotated[Path | None, Parameter(help="Certificate authorities of your own, in PEM.")] = None,
    time: Annotated[str | None, Parameter(help="Judge expiry at this time (2026-11-20T21:00:00Z) [now].")] = None,
    json: Annotated[bool, Parameter(help="Print the result as JSON (docs/schemas/audit.v1).", negative=())] = False,
) -> int:
    """Download a published release again and check all of it: metadata, files, what they say of each other, the source.

    Needs no account and no key. Exit: 0 everything asked for holds · 1 something does not · 3 something could not be
    looked at.
    """
    import sys

    import msgspec

    from ec_closure.errors import UsageError
    from ec_fetch.fetcher import ReleaseFetcher
    from ec_release.audit import audit as auditing
    from ec_release.audit.progress import names
    from ec_release.commands.options import read_root, read_time
    from ec_release.publishing.plan import check_tag

    check_tag(tag)
    place = _place(directory, server, repository, base_url)
    if allowed_signers is not None and not allowed_signers.is_file():
        raise UsageError("is no file", place=str(allowed_signers))
    asked = auditing.Asked(
        tag=tag,
        place=place,
        root=read_root(root),
        time=read_time(time),
        source=source,
        signers=allowed_signers.resolve() if allowed_signers else None,
        ca_file=ca_file.resolve() if ca_file else None,
        skip=frozenset(skip),
    )
    with names(f"auditing {tag}") as report:
        outcome = auditing.carry_out(asked, fetcher=ReleaseFetcher(ca_file=ca_file), report=report)
    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(outcome), indent=2).decode() + "\n")
    else:
        _table(outcome)
    return _EXITS[outcome.verdict]


def _place(directory: Path | None, server: str | None, repository: str | None, base_url: str | None) -> Public:
    from ec_closure.errors import UsageError
    from ec_release.audit import public

    if sum(one is not None for one in (directory, server, base_url)) != 1 or (server is None) != (repository is None):
        raise UsageError(
            "nothing says, or two things say, where the release is",
            hint="--directory DIR, or --server URL --repository OWNER/NAME, or --base-url URL",
        )
    if directory is not None:
        return public.directory(directory)
    if base_url is not None:
        return public.address(base_url)
    return public.forge(str(server), str(repository))


def _table(outcome: Audit) -> None:
    import sys

    release = f", release {outcome.release}" if outcome.release is not None else ""
    sys.stdout.write(f"{outcome.tag}{release}: {outcome.verdict.upper()}\n  {outcome.place}\n")
    for check in outcome.checks:
        shown = "FAIL" if check.result == "fail" else check.result
        sys.stdout.write(f"  {shown:<9} {check.name:<15} {check.detail}\n")
        for problem in check.problems:
            sys.stdout.write(f"{'':27}- {problem}\n")
