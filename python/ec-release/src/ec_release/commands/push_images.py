"""`ec-release push-images`: what was built goes to a registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def push_images(
    descriptors: Path,
    /,
    *,
    flake: Path = Path(),
    registry: str = "ghcr.io",
    namespace: str | None = None,
    username: str | None = None,
    password_file: Path | None = None,
    system: str | None = None,
    tag_suffix: str = "",
    may_be_missing: Annotated[bool, Parameter(negative=())] = False,
    withhold: Annotated[list[str] | None, Parameter(negative=())] = None,
    attempts: int = 5,
    wait: float = 2.0,
    deadline: float = 3600.0,
    nix: str = "nix",
    option: Annotated[list[tuple[str, str]] | None, Parameter(negative=())] = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Push the images that the descriptors in DIRECTORY name, from a clean checkout of the flake.

    Tags: git-COMMIT always; pr-NUMBER for a pull request; latest on the default branch, where no later commit of it has
    an image. From a fork's pull request
    nothing is pushed, nor what `meta.ci` withholds or docs/release-authority.toml does not call authoritative. All
    images are tried; one that fails makes the command fail at the end. Every tag is read back. Run again, it changes
    nothing. On a runner, `digests` (JSON: image to name@sha256:…) becomes an output of the step.

    The password comes from the environment variable REGISTRY_PASSWORD or from a file, and reaches programs in a file
    with mode 600 that is removed afterwards. skopeo is needed.

    Parameters
    ----------
    descriptors
        The directory with the image-*.env files, and nothing else.
    flake
        The top of the flake's checkout.
    registry
        Where images go.
    namespace
        What stands before the image's name [the repository that the runner works for].
    username
        Who pushes [GITHUB_ACTOR].
    password_file
        A file with the password [REGISTRY_PASSWORD].
    system
        The system that the images were built for [this machine's].
    tag_suffix
        What is added to each tag, e.g. -aarch64-linux, where several systems push one image.
    may_be_missing
        There is nothing to do, and no failure, where the directory is not there: no job wrote a descriptor.
    withhold
        An image that is not pushed.
    attempts
        How often each tag is tried.
    wait
        Seconds before the second try; they grow.
    deadline
        Seconds that one try may take.
    nix
        The nix program.
    option
        NAME VALUE, handed on to Nix.
    json
        Print the result as JSON.
    """
    import structlog

    from ec_release.images import credentials, event, names, push
    from ec_release.images.descriptor import read_directory
    from ec_release.images.errors import PushError
    from ec_release.images.outputs import Flake
    from ec_release.images.result import Result

    happened = event.read()
    insistence = push.check(push.Insistence(attempts, wait, deadline))
    if refusal := happened.refusal():
        Result(refusal=refusal).tell(as_json=json)
        return
    found, wrong = ([], []) if may_be_missing and not descriptors.exists() else read_directory(descriptors)
    result = Result(failures=list(wrong))
    if found:
        from ec_release.closure.source import later_commits, read_commit

        top = flake.resolve()
        commit = read_commit(top).rev
        tags = happened.tags(commit, tag_suffix)
        later = later_commits(top, commit, happened.default_branch) if happened.moves_latest(commit) else frozenset()
        if later is None:
            structlog.get_logger().warning(
                "the checkout does not tell what came after this commit: latest could go back", hint="fetch-depth: 0"
            )
        space = namespace or happened.repository
        names.repository(registry, space, found[0].base)  # refused before anything is built
        who = credentials.read(username, password_file)
        of = Flake(top, nix, (*(option or ()), *((("system", system),) if system else ())))
        wanted = names.system(system) if system else of.this_system()
        fine, result.left, mistakes = push.allowed(of, wanted, found, frozenset(withhold or ()))
        result.failures += mistakes
        with credentials.auth_file(registry, who) as auth:
            target = push.Target(
                registry, space, auth, who.password, tags, push.Overtaking(later or frozenset(), tag_suffix)
            )
            for one in fine:
                result.add(push.push(of, one, target, insistence))
    result.tell(as_json=json)
    if result.failures:
        raise PushError(
            f"{len(result.failures)} of {len(found) + len(wrong)} images were not pushed",
            hint="the reasons are above; run the same command again for those, it changes nothing of the others",
        )
