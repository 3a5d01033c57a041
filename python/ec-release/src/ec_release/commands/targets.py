"""`ec-release targets`: what is built for a release, where, and what the release is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def targets(
    wanted: str = "",
    *,
    tag: Annotated[str, Parameter(negative=())] = "",
    ref: Annotated[str, Parameter(negative=())] = "",
    branch: Annotated[str | None, Parameter(negative=())] = None,
    flake: Path = Path(),
    targets: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Say what a release of boot images consists of: its tag and version, and a job for each target.

    The version is the commit's time, in seconds since 1970. The checkout must be clean. On a runner, `tag`, `version`,
    `revision` and `matrix` become outputs of the step.

    Parameters
    ----------
    wanted
        Names of targets, or patterns with *, between commas or blanks; all that are switched on when empty.
    tag
        The release's tag, boot-v…; the commit's time when empty: boot-vYYYY.MM.DD-HHMMSS.
    ref
        The ref that started the run; if it is that of a tag, this is the release's.
    branch
        Refuse the commit unless this branch of origin holds it.
    flake
        The top of the git checkout that holds the flake.
    targets
        The file of targets [.forgejo/boot-images.toml of the flake].
    json
        Print the result as JSON.
    """
    import msgspec

    from ec_release import actions
    from ec_release.boot_images import release
    from ec_release.boot_images import targets as listed
    from ec_release.closure.source import check_merged, read_commit
    from ec_release.output import emit

    directory = flake.resolve()
    known = listed.read(targets or directory / listed.DEFAULT_FILE)
    chosen = listed.select(known, wanted)
    commit = read_commit(directory)
    made = release.of(commit, wanted=tag, ref=ref)
    if branch is not None:
        check_merged(directory, commit.rev, branch)
    jobs = [
        {
            "name": name,
            "kind": target.kind,
            "runner": target.runner,
            "platform": target.platform,
            "attribute": listed.attribute(name, target),
            "toplevel": listed.toplevel(name),
            "file": made.asset(name, suffix) if (suffix := listed.extension(target)) else "",
        }
        for name, target in chosen.items()
    ]
    matrix = msgspec.json.encode({"include": jobs}).decode()
    actions.set_outputs({"tag": made.tag, "version": str(made.version), "revision": made.rev, "matrix": matrix})
    actions.add_summary(
        actions.table(
            f"Release {made.tag}, version {made.version}, commit {made.short}",
            ["target", "kind", "runner", "file"],
            [[job["name"], job["kind"], job["runner"], job["file"]] for job in jobs],
        )
    )
    emit({"tag": made.tag, "version": made.version, "revision": made.rev, "targets": jobs}, as_json=json)
