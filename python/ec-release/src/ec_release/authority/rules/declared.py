"""RA1xx and RA9xx: the declaration names what is there, and nothing that could publish stays unseen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ec_release.authority.facts import finding
from ec_release.authority.sources import Place
from ec_release.authority.walk import WORKFLOWS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_closure.release_gate import Finding
    from ec_release.authority.facts import Facts

_OTHER_CI = re.compile(
    r"\.gitlab-ci\.ya?ml$|\.woodpecker(?:\.ya?ml$|/)|Jenkinsfile|\.circleci/|\.buildkite/|\.semaphore/|\.tekton/"
    r"|azure-pipelines\.ya?ml$|\.travis\.yml$|\.drone\.yml$|bitbucket-pipelines\.yml$|\.cirrus\.yml$|\.builds/"
)
_LOOKED_AT = (*(f"{one}/" for one in WORKFLOWS), ".github/actions/", ".forgejo/actions/", "tofu/", "docs/", "nixos/")


def judge(facts: Facts) -> Iterator[Finding]:
    """Yield where the declaration and the repository disagree, and what could not be read."""
    yield from _files(facts)
    yield from _workflows(facts)
    yield from _surfaces(facts)
    for run in facts.runs:
        for trouble in run.troubles:
            yield finding(trouble.code, trouble.place, trouble.message, trouble.via)
        if not run.events and not run.troubles and run.file not in facts.called:
            yield finding("RA909", Place(run.file, 1), "only others can start it")
    for path in facts.files.texts:
        if _OTHER_CI.match(path):
            yield finding("RA901", Place(path, 1), "is a pipeline of a kind that is not read here")
    for path, why in facts.files.skipped.items():
        if path.startswith(_LOOKED_AT):
            yield finding("RA907", Place(path, 1), why)


def _files(facts: Facts) -> Iterator[Finding]:
    """Every path that is declared."""
    declared = facts.declared
    documents = declared.documents
    paths = [
        *(one.file for one in declared.dashboard.workflow),
        *(one.file for one in declared.boot_images.workflow),
        *declared.boot_images.metadata,
        *(one.file for one in declared.announcement),
        *(one.source for one in declared.surface if one.source),
        documents.authority,
        *documents.primary,
        *documents.decisions,
    ]
    for path in dict.fromkeys(paths):
        if path not in facts.files.texts:
            yield finding("RA101", facts.declared_at(f'"{path}"'), f"{path} is not there")
    stack = declared.dashboard.install.stack
    if not facts.files.below(stack):
        yield finding("RA101", facts.declared_at(f'"{stack}"'), f"{stack} is not there")


def _workflows(facts: Facts) -> Iterator[Finding]:
    """Every declared workflow publishes what it is listed for."""
    declared = facts.declared
    wanted = [
        *((one.file, ("image",)) for one in declared.dashboard.workflow),
        *((one.file, ("release",)) for one in declared.boot_images.workflow),
        *((file, ("metadata", "release")) for file in declared.boot_images.metadata),
        *((one.file, ("release",)) for one in declared.announcement),
    ]
    for file, kinds in wanted:
        if file not in facts.files.texts:
            continue
        done = any(deed.workflow.file == file and deed.act.kind in kinds for deed in facts.deeds)
        if not done:
            yield finding("RA102", facts.declared_at(f'"{file}"'), f"nothing in {file} does it: {' or '.join(kinds)}")


def _surfaces(facts: Facts) -> Iterator[Finding]:
    """Every surface is what the flake's sources say, and every image of the flake is a surface."""
    for one in facts.declared.surface:
        if one.attribute is None:
            continue
        name = one.attribute.rpartition(".")[2]
        if facts.flake.mentions(name) is None:
            yield finding("RA105", facts.declared_at(f'"{one.attribute}"'), f"no source of the flake has {name}")
        elif one.kind == "nix-image" and one.source:
            said, place = facts.flake.publish(one.source)
            if said != "false" and one.role != "authoritative":
                what = f"says meta.ci.publish = {said}" if said else "does not say meta.ci.publish = false"
                yield finding("RA104", place, f"{name} is {one.role}, and its source {what}")
            elif said == "false" and one.role == "authoritative":
                yield finding("RA104", place, f"{name} is authoritative, and its source says meta.ci.publish = false")
    for name, place in facts.flake.images().items():
        if facts.surface_of(f"flake:{name}") is None:
            yield finding("RA106", place, f"{name} is an image, and no surface")
