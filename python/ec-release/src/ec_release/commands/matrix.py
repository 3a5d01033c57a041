"""`ec-release matrix`: what CI builds of a flake."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def matrix(
    *,
    flake: Path = Path(),
    system: str | None = None,
    categories: str = "packages,checks",
    cache: Annotated[list[str] | None, Parameter(negative=())] = None,
    local_only: Annotated[bool, Parameter(negative=())] = False,
    at_once: int = 32,
    nix: str = "nix",
    option: Annotated[list[tuple[str, str]] | None, Parameter(negative=())] = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Tell what CI builds of a flake: the packages and checks of one system, as the rows of a matrix.

    Outputs that a cache has are left out, but for images, which must be pushed. Outputs that do not evaluate are rows,
    and fail when they are built. `meta.ci.skip = true` leaves an output out; `meta.ci.publish = false` has an image
    built and not pushed; nothing else means anything. On a runner, `matrix_include`, `has_work` and `images` become
    outputs of the step.

    Parameters
    ----------
    flake
        The top of the flake's checkout.
    system
        The system whose outputs are wanted, e.g. x86_64-linux [this machine's].
    categories
        Which kinds of outputs are wanted.
    cache
        A binary cache to ask [those of Nix's settings].
    local_only
        Ask no binary cache, only the local store.
    at_once
        How many outputs one process evaluates; each costs memory until it ends.
    nix
        The nix program.
    option
        NAME VALUE, handed on to Nix.
    json
        Print the result as JSON.
    """
    import msgspec
    import structlog

    from ec_closure.errors import UsageError
    from ec_release import actions
    from ec_release.images import names
    from ec_release.images.cache import Caches
    from ec_release.images.matrix import plan
    from ec_release.images.outputs import Flake, read_categories
    from ec_release.output import emit

    if at_once < 1:
        raise UsageError("--at-once is at least 1")
    kinds = read_categories(categories)
    evaluated = Flake(flake.resolve(), nix, tuple(option or ()))
    wanted = evaluated.this_system() if system is None else names.system(system)
    outputs = [one for category in kinds for one in evaluated.outputs(category, wanted, at_once)]
    caches = Caches(nix, evaluated.options, () if local_only else cache)
    made = plan(wanted, outputs, caches.holding([one.paths for one in outputs]))
    include, images = made.include(), made.images()
    log = structlog.get_logger()
    for row in made.rows:
        if row.error is not None:
            log.warning("does not evaluate", output=f"{row.output.category}.{row.output.name}", error=row.error)
    actions.set_outputs(
        {
            "matrix_include": msgspec.json.encode(include).decode(),
            "has_work": "true" if include else "false",
            "images": msgspec.json.encode(images).decode(),
            "system": wanted,
        }
    )
    actions.add_summary(made.summary())
    emit(
        {
            "system": wanted,
            "has_work": bool(include),
            "images": images,
            "matrix_include": include,
            "left_out": [
                {"output": f"{row.output.category}.{row.output.name}", "status": row.status}
                for row in made.rows
                if not row.is_work
            ],
        },
        as_json=json,
    )
