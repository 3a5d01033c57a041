"""Findings about release authority, in stable codes.

RA1xx declaration · RA2xx publication · RA3xx scan and signature · RA4xx installing · RA5xx documents · RA6xx gates ·
RA9xx what cannot be told. A code keeps its meaning for ever; a new meaning takes a new number.

`python -m ec_release.authority.findings docs/release-findings.md` writes the catalogue for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ec_closure import catalogue

Severity = Literal["fail", "info"]


@dataclass(frozen=True)
class Kind:
    """One kind of finding."""

    code: str
    title: str
    severity: Severity
    hint: str


_KINDS = (
    # Declaration
    Kind("RA101", "a declared file is not there", "fail", "Correct the path in docs/release-authority.toml, or bring the file back."),
    Kind("RA102", "a declared workflow does not publish", "fail", "Remove it from docs/release-authority.toml, or mend the workflow: nothing that it runs publishes what it is listed for."),
    Kind("RA103", "a workflow publishes that is not declared", "fail", "List it in docs/release-authority.toml, which is a decision, or take the publication out of it."),
    Kind("RA104", "the flake lets CI push what is not authoritative", "fail", "Put `meta.ci.publish = false` beside the output (docs/decisions/0014), or change the authority first."),
    Kind("RA105", "a declared surface is not in the flake", "fail", "Correct the attribute in docs/release-authority.toml: nothing in the flake is called so."),
    Kind("RA106", "an image of the flake is not declared", "fail", "Give it a surface in docs/release-authority.toml, so that it is known whether it may be pushed."),
    # Publication
    Kind("RA201", "a surface is published that has no authority", "fail", "Take the publication out, or change the authority by the gates of docs/decisions/0027."),
    Kind("RA202", "two jobs can write one repository name", "fail", "Let one of them write it; or let both be declared, with tags that are not also the other's."),
    Kind("RA203", "an image is pushed that no declaration knows", "fail", "Declare what it is, or take the push out."),
    Kind("RA204", "a tag is written that belongs to another class", "fail", "CI's output and releases are told apart by their tags: see `tags` in docs/release-authority.toml."),
    Kind("RA205", "a publication to FlakeHub", "fail", "Nothing of ours is published there: docs/decisions/0026 says why."),
    Kind("RA206", "the authoritative name is filled from another source", "fail", "Build it from the declared source, in the job that pushes it."),
    Kind("RA208", "a job may write packages, and publishes none", "fail", "Take `packages: write` away: whoever gets into that job could publish with it."),
    # Scan and signature
    Kind("RA301", "what is published is not scanned", "fail", "Scan `NAME@DIGEST` after the push, with the digest that the push gave out."),
    Kind("RA302", "a scan whose findings are passed over", "fail", "Let it end the job (`exit-code: 1`), without `continue-on-error`, under no other condition than the push."),
    Kind("RA303", "what is published is not signed", "fail", "Sign `NAME@DIGEST` after the push, with the digest that the push gave out."),
    Kind("RA304", "a signature for a name instead of a digest", "fail", "A tag may have moved by then: sign `NAME@DIGEST`, with the digest that the push gave out."),
    Kind("RA305", "the signature is not verified after the push", "fail", "Run `cosign verify NAME@DIGEST` with the identity that operators will ask for."),
    # Installing
    Kind("RA401", "the install contract is not kept by the stack", "fail", "The declared variable must be there, without a default, and the module must refuse what is no digest."),
    Kind("RA402", "another source is installed", "fail", "Install the image of the declared repository."),
    Kind("RA403", "an image is installed without its digest", "fail", "A tag can mean something else tomorrow: write NAME@sha256:…"),
    # Documents
    Kind("RA501", "a document names another source", "fail", "Name the declared repository; registries of readers' own are called registry.example.org."),
    Kind("RA502", "a document installs an image without its digest", "fail", "Show NAME@sha256:…: people copy what they read."),
    Kind("RA503", "a document does not lead to the release authority", "fail", "Link it to docs/release-authority.md, and let that one name what is declared."),
    Kind("RA504", "a document offers what has no authority", "fail", "Tell operators to install the published image; say of other surfaces that they are not released."),
    Kind("RA505", "a document speaks of a publication on FlakeHub", "fail", "There is none: docs/decisions/0026."),
    # Gates
    Kind("RA601", "the current authority does not meet a gate", "fail", "`ec-release gate` shows what is missing and where."),
    Kind("RA602", "the authority was changed before its gates are met", "fail", "Go back to the former authority until every gate of the new one is met (docs/decisions/0027)."),
    # What cannot be told
    Kind("RA901", "it cannot be told whether this publishes", "fail", "Write the program and its arguments where they can be read, or take from the job what it could publish with."),
    Kind("RA902", "a workflow or an action cannot be read", "fail", "Correct it: what a runner makes of it is not known here."),
    Kind("RA903", "a workflow of others is called with rights to publish", "fail", "Call it without rights and secrets, or bring it into this repository."),
    Kind("RA904", "a workflow or an action is not there", "fail", "Correct the path."),
    Kind("RA905", "it cannot be told under which name this publishes", "fail", "Write the name where it can be read: in the workflow, its environment, a matrix or an input."),
    Kind("RA906", "it cannot be told what is installed", "fail", "OpenTofu's file cannot be read. Correct it."),
    Kind("RA907", "a file was not read", "fail", "It is too large, or a link: what is in it is not known here."),
    Kind("RA908", "a cache of builds is filled", "info", "That is no publication: nobody installs from it by name. Whoever trusts the cache's key takes what is in it."),
    Kind("RA909", "a workflow is offered to other repositories", "info", "Nothing here starts it. What it publishes, it publishes for those who call it."),
)  # fmt: skip

KINDS: dict[str, Kind] = {kind.code: kind for kind in _KINDS}

AREAS = {
    "RA1": "Declaration",
    "RA2": "Publication",
    "RA3": "Scan and signature",
    "RA4": "Installing",
    "RA5": "Documents",
    "RA6": "Gates",
    "RA9": "What cannot be told",
}
"""What the first digit of a code says."""

_HEAD = """\
<!-- Written by `python -m ec_release.authority.findings docs/release-findings.md`; change the catalogue, not this file. -->
# Findings about release authority

What `ec-release gate` can find wrong; [release-authority.md](release-authority.md) says what it looks at. A code keeps its
meaning for ever; a new meaning takes a new number. **fail** makes the gate fail (exit code 1), **info** is reported only.
"""


def render() -> str:
    """Return the catalogue as Markdown, grouped by area."""
    return catalogue.render(_HEAD, _KINDS, AREAS, severity="Severity")


if __name__ == "__main__":
    import sys

    Path(sys.argv[1]).write_text(render(), encoding="utf-8")
