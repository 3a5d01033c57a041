"""RA5xx: documents tell one story, and it is the declared one."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from ec_release.authority.facts import finding
from ec_release.authority.rules.contract import is_ours
from ec_release.authority.sources import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_closure.release_gate import Finding
    from ec_release.authority.facts import Facts

# Hosts that nobody has: RFC 2606 and loopback. What readers are to replace by their own.
_NOBODY = re.compile(
    r"(?:(?:[\w.-]+\.)?(?:example(?:\.(?:org|com|net))?|test|invalid|localhost)|127\.0\.0\.1)(?::\d+)?|registry:\d+"
)
_IMAGE = (
    r"(?P<reference>(?<![\w./-])(?P<host>[a-z0-9][a-z0-9.-]*(?::\d+)?)/(?:[\w.<>{{}}$*-]+/)*{name}"
    r"(?![\w-])(?::[\w.<>*-]+)?(?:@\S+)?)"
)
_INSTALLS = re.compile(
    r"\bTF_VAR_image\b|^\s*image\s*=|-var[= ]['\"]?image=|\b(?:docker|podman|nerdctl)\s+(?:run|pull|create)\b"
    r"|^\s*image:\s|\bkubectl\s+set\s+image\b"
)
_PATH_LINK = re.compile(r"\]\((?P<target>[^)#\s]+)(?:#[^)\s]*)?\)")
_FLAKEHUB = re.compile(
    r"https?://(?:api\.)?flakehub\.com/f/|\bfh\s+(?:add|apply|resolve|fetch)\b|flakehub-push", re.IGNORECASE
)
_OFFERS = re.compile(
    r"\bnix\s+(?:run|profile\s+install|profile\s+add|build|shell)\b[^`\n]*#(?:packages\.[\w-]+\.)?(?P<name>[\w-]+)"
    r"(?P<copy>\S*copyTo)?(?P<rest>[^`\n]*)"
)


def judge(facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong with documents."""
    for path in sorted(facts.files.texts):
        if path.endswith(".md") and not path.startswith("tests/"):
            yield from _document(facts, path)
    yield from _story(facts)


def _document(facts: Facts, path: str) -> Iterator[Finding]:
    """Every line of a document, by itself."""
    declared = facts.declared.documents
    # What is recorded, and what says why not, may name what is not.
    about = path in declared.decisions or path == declared.authority or path.startswith("docs/decisions/")
    name = facts.repository.rpartition("/")[2]
    image = re.compile(_IMAGE.format(name=re.escape(name)))
    for number, line in enumerate(facts.files.text(path).splitlines(), 1):
        place = Place(path, number)
        for match in image.finditer(line):
            yield from _reference(facts, place, line, match)
        if about:
            continue
        if _FLAKEHUB.search(line) and path != "docs/release-findings.md":
            yield finding("RA505", place, "tells of a publication on FlakeHub")
        for match in _OFFERS.finditer(line):
            yield from _offer(facts, place, match)


def _reference(facts: Facts, place: Place, line: str, match: re.Match[str]) -> Iterator[Finding]:
    """Judge a name of the dashboard's image."""
    if _NOBODY.fullmatch(match["host"]) or ("." not in match["host"] and ":" not in match["host"]):
        return
    text = match["reference"].rstrip(".,;)'\"`")
    reference = facts.reference(text)
    plain = re.sub(r"/(?:<owner>|\{owner\}|\$\{?owner\}?|owner|…|\*)/", "/owner/", reference.repository)
    if not is_ours(facts, plain, example=True):
        yield finding("RA501", place, f"names {reference.repository}, and {facts.repository} is declared")
    elif _INSTALLS.search(line) and not reference.digest:
        yield finding("RA502", place, f"installs {text} without its digest")


def _offer(facts: Facts, place: Place, match: re.Match[str]) -> Iterator[Finding]:
    """Judge a command that a reader copies, about an output of the flake."""
    surface = facts.surface_of(f"flake:{match['name']}")
    if surface is None or surface.role == "authoritative":
        return
    documents = facts.declared.documents
    operators = (documents.overview, *documents.onboarding)
    pushed = re.search(r"docker://(?P<host>[^/\s]+)", match["rest"]) if match["copy"] else None
    if pushed and not _NOBODY.fullmatch(pushed["host"]):
        yield finding("RA504", place, f"shows how to push {match['name']} to {pushed['host']}")
    elif place.file in operators and not match["copy"]:
        yield finding("RA504", place, f"offers {match['name']} to operators, and it is {surface.role}")


def links(facts: Facts, path: str) -> set[str]:
    """Return the files that a document links to, as paths from the top."""
    found = set()
    for match in _PATH_LINK.finditer(facts.files.text(path)):
        if "://" not in match["target"]:
            found.add(posixpath.normpath(posixpath.join(posixpath.dirname(path), match["target"])))
    return found


def told(facts: Facts) -> Iterator[tuple[bool, str, Place]]:
    """Yield the parts of the story: whether each is told, what it is, and where."""
    documents = facts.declared.documents
    for path in dict.fromkeys(documents.primary):
        if path not in facts.files.texts:
            # That it is not there is told by another rule.
            continue
        leads = documents.authority in links(facts, path) or path == documents.authority
        yield leads, f"{path} leads to {documents.authority}", Place(path, 1)
    if documents.authority in facts.files.texts:
        text = facts.files.text(documents.authority)
        wanted = [
            facts.declared.dashboard.repository,
            facts.authority.source or facts.authority.name,
            *(one.file for one in facts.declared.dashboard.workflow),
            *(one.file for one in facts.declared.boot_images.workflow),
            facts.declared.dashboard.install.stack,
            *documents.decisions,
        ]
        for one in wanted:
            shown = one.rpartition("/")[2] if one in documents.decisions else one
            at = facts.files.place_of(documents.authority, shown)
            yield shown in text, f"{documents.authority} names {shown}", at


def _story(facts: Facts) -> Iterator[Finding]:
    for met, what, place in told(facts):
        if not met:
            yield finding("RA503", place, f"not so: {what}")
