"""The command `ec-release`: which subcommands there are, and the one place where errors become exit codes.

Exit: 0 done · 1 what was looked at does not hold · 2 usage or bad input · 3 this machine, trust or transport ·
130 interrupted.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cyclopts import App
from cyclopts.exceptions import CycloptsError

from ec_closure import command_line
from ec_closure.errors import UsageError
from ec_release import logs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ec_closure.errors import EcError


def make_app() -> App:
    """Return the application. Commands are imported when they run, so that `--help` is quick."""
    app = App(
        name="ec-release",
        help="Describe, sign and publish releases.",
        version=_version,
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    commands = "ec_release.commands"
    app.command(f"{commands}.targets:targets", name="targets", help="Say what a release of boot images consists of.")
    app.command(f"{commands}.build:build", name="build", help="Build one boot image twice, compare, and pack it.")
    app.command(f"{commands}.clean:clean", name="clean", help="Remove the stores that a build left.")
    app.command(f"{commands}.closure:closure", name="closure", help="Describe one built system.", version_flags=())
    app.command(f"{commands}.sbom:sbom", name="sbom", help="List what is inside described systems.", version_flags=())
    app.command(
        f"{commands}.provenance:provenance", name="provenance", help="Say how a release was built.", version_flags=()
    )
    app.command(f"{commands}.publish:publish", name="publish", help="Publish one release.", version_flags=())
    app.command(f"{commands}.audit:audit", name="audit", help="Check a published release as a stranger.")
    app.command(f"{commands}.matrix:matrix", name="matrix", help="Tell what CI builds of a flake.", version_flags=())
    app.command(f"{commands}.descriptor:descriptor", name="descriptor", help="Hand an image on to the job that pushes.")
    app.command(f"{commands}.push_images:push_images", name="push-images", help="Push built images to a registry.")
    app.command(f"{commands}.image_tags:image_tags", name="image-tags", help="Tell which tags an image gets.")
    app.command(f"{commands}.image_base:image_base", name="image-base", help="Tell what an image stands on.")
    app.command(
        f"{commands}.image_provenance:image_provenance", name="image-provenance", help="Write how an image was built."
    )
    app.command(f"{commands}.image_promote:image_promote", name="image-promote", help="Move tags to a signed image.")
    app.command(f"{commands}.notes:notes", name="notes", help="Write the notes of a release.")
    ci_keys = App(name="ci-keys", help="CI's keys as a secret of the forge, and as files for one job.")
    ci_keys.command(f"{commands}.ci_keys:pack", name="pack", help="Put keys into the text of a secret.")
    ci_keys.command(f"{commands}.ci_keys:write", name="write", help="Write the keys of a secret to files.")
    ci_keys.command(f"{commands}.ci_keys:remove", name="remove", help="Remove these files.")
    app.command(ci_keys)
    app.command(
        f"{commands}.gate:gate", name="gate", help="Hold a repository to its release authority.", version_flags=()
    )
    trust = App(name="trust", help="Keys and signed metadata of a release repository.")
    trust.command(f"{commands}.trust_init:init", name="init", help="Make keys and the first metadata.")
    trust.command(f"{commands}.trust_refresh:refresh", name="refresh", help="Sign anew what is about to expire.")
    trust.command(f"{commands}.trust_standing:withdraw", name="withdraw", help="Withdraw published releases.")
    trust.command(
        f"{commands}.trust_standing:min_version", name="min-version", help="Set the lowest acceptable release."
    )
    trust.command(f"{commands}.trust_show:show", name="show", help="Verify and show what is published.")
    trust.command(f"{commands}.trust_key:key", name="key", help="Make a key pair of your own.")
    trust.command(f"{commands}.trust_rotate:rotate", name="rotate", help="Replace the key of a role.")
    trust.command(f"{commands}.trust_rotate:renew", name="renew", help="Give the root a later expiry.")
    trust.command(f"{commands}.trust_sign:sign", name="sign", help="Add your signature to a proposed root.")
    trust.command(f"{commands}.trust_rotate:apply", name="apply", help="Publish a proposed root.")
    app.command(trust)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line *arguments* and return the exit code."""
    logs.configure()
    return command_line.carried_out(
        lambda: _carry_out(list(arguments)),
        _complain,
        "ec-release: interrupted; run the same command again to continue",
    )


def _carry_out(arguments: list[str]) -> object:
    try:
        app = make_app()
        if arguments[-1:] in (["--help"], ["-h"]):
            command_line.explain(app, arguments[:-1])
        return app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        raise UsageError(str(error), hint="see `ec-release --help`") from error


def _complain(error: EcError) -> int:
    sys.stderr.write(f"ec-release: {error}\n")
    if error.hint:
        sys.stderr.write(f"  hint: {error.hint}\n")
    return error.exit_code


def _version() -> str:
    from importlib.metadata import version

    return version("ec-release")
