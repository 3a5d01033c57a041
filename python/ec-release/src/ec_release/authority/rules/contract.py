"""RA4xx: the declared image is installed, by its digest: by the stack of OpenTofu, and where workflows deploy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ec_release.authority.facts import finding
from ec_release.authority.shell import is_open
from ec_release.authority.sources import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_closure.release_gate import Finding
    from ec_release.authority.facts import Facts
    from ec_release.authority.hcl import Attribute, Document

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Whose repository it is, in examples and tests.
_PLACEHOLDERS = ("owner", "example", "<owner>", "your-org")
_REFERENCE = re.compile(
    r"(?:docker://)?[A-Za-z0-9<][A-Za-z0-9.:<>_-]*(?:/[A-Za-z0-9._<>{}$-]+)+(?::[A-Za-z0-9._-]+)?(?:@\S+)?"
)


def judge(facts: Facts) -> Iterator[Finding]:
    """Yield what is wrong with how the dashboard is installed."""
    yield from _stack(facts)
    for file, document in facts.tofu.items():
        if not _is_test(file):
            yield from _values(facts, file, document)
    for deed in facts.deeds:
        if deed.act.kind == "deploy":
            for code, message in wrong(facts, deed.act.target):
                yield finding(code, deed.place, f"{deed.act.tool}: {message}", deed.via)
    for place, message in facts.unread:
        yield finding("RA906", place, message)


def wrong(facts: Facts, text: str, *, example: bool = False) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a reference that is installed; in an *example*, an owner may be anybody."""
    reference = facts.reference(text)
    if reference.is_open:
        yield "RA402", f"installs {text}, which cannot be told"
    elif not is_ours(facts, reference.repository, example=example):
        yield "RA402", f"installs {reference.repository}, and {facts.repository} is declared"
    elif not reference.digest:
        yield "RA403", f"installs {text} without its digest"
    elif not DIGEST.fullmatch(reference.digest) and not is_open(reference.digest) and not example:
        yield "RA403", f"{reference.digest} is no digest"


def is_ours(facts: Facts, repository: str, *, example: bool) -> bool:
    """Tell whether a repository is the declared one, in an example with anybody's name for the owner."""
    if repository == facts.repository:
        return True
    pattern = facts.declared.dashboard.repository
    return example and any(repository == pattern.replace("{owner}", one) for one in _PLACEHOLDERS)


def _is_test(file: str) -> bool:
    """Tell whether a file tries what is refused."""
    return ".tftest." in file or "/tests/" in f"/{file}"


def kept(facts: Facts) -> Iterator[tuple[bool, str, Place]]:
    """Yield the parts of the install contract: whether each is kept, what it is, and where."""
    install = facts.declared.dashboard.install
    heading = f"variable {install.variable}"
    declared = facts.declared_at(install.stack)
    stack = {file: document for file, document in facts.tofu.items() if file.rpartition("/")[0] == install.stack}
    variable = next(
        (Place(file, line) for file, one in stack.items() for name, line in one.headings if name == heading), None
    )
    yield variable is not None, f"{install.stack} has the variable {install.variable}", variable or declared
    if variable is None:
        return
    attributes = [(file, one) for file, document in stack.items() for one in document.attributes]
    default = next(
        (Place(f, one.line) for f, one in attributes if one.blocks == (heading,) and one.name == "default"), None
    )
    yield default is None, f"{install.variable} has no default", default or variable
    uses = [
        (file, one)
        for file, one in attributes
        if one.name == install.variable and len(one.blocks) == 1 and one.blocks[0].startswith("module ")
    ]
    right = [(file, one) for file, one in uses if one.value == f"var.{install.variable}"]
    wrong_one = next(((file, one) for file, one in uses if one.value != f"var.{install.variable}"), None)
    where = wrong_one or (right[0] if right else None)
    place = Place(where[0], where[1].line) if where else variable
    yield bool(right) and wrong_one is None, f"the stack hands var.{install.variable} to its module", place
    rule = _rule(facts, install.stack, install.variable)
    yield rule is not None, f"a digest is demanded of {install.variable}", rule or variable


def _rule(facts: Facts, stack: str, variable: str) -> Place | None:
    """Return where the stack, or a module beside it, demands a digest of the variable.

    A validation of the variable does, or a precondition of what is made; each may look at a local value that does.
    """
    modules = f"{stack.partition('/')[0]}/modules/"
    names = re.compile(rf"\bvar\.{re.escape(variable)}\b")
    for directory in sorted({file.rpartition("/")[0] for file in facts.tofu if not _is_test(file)}):
        if directory != stack and not directory.startswith(modules):
            continue
        attributes = [
            (file, one)
            for file, document in facts.tofu.items()
            if file.rpartition("/")[0] == directory
            for one in document.attributes
        ]
        values = {f"local.{one.name}": one.value for _, one in attributes if one.blocks == ("locals",)}
        for file, one in attributes:
            if one.name != "condition" or one.blocks[-1:] not in (("validation",), ("precondition",)):
                continue
            said = " ".join([one.value, *(text for name, text in values.items() if _word(name).search(one.value))])
            if names.search(said) and "@sha256:" in said:
                return Place(file, one.line)
    return None


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"\b{re.escape(name)}\b")


def _stack(facts: Facts) -> Iterator[Finding]:
    for met, what, place in kept(facts):
        if not met:
            yield finding("RA401", place, f"not so: {what}")


def _values(facts: Facts, file: str, document: Document) -> Iterator[Finding]:
    """Every text of a file that names an image of the dashboard, and every value of the variable."""
    name = facts.repository.rpartition("/")[2]
    variable = facts.declared.dashboard.install.variable
    judged: set[int] = set()
    for one in document.attributes:
        if one.literal and _sets_image(one, variable, file):
            judged.add(one.line)
            for code, message in wrong(facts, one.literal, example=_example(one.literal)):
                yield finding(code, Place(file, one.line), message)
    for text in document.texts:
        reference = facts.reference(text.text)
        plain = _REFERENCE.fullmatch(text.text) is not None and "/" in reference.repository
        if (
            text.line not in judged
            and plain
            and reference.repository.rpartition("/")[2] == name
            and _is_host(text.text)
        ):
            for code, message in wrong(facts, text.text, example=_example(text.text)):
                yield finding(code, Place(file, text.line), message)


def _is_host(text: str) -> bool:
    """Tell whether a text begins with a host: a module's path, and a name of Kubernetes, do not."""
    first = text.removeprefix("docker://").partition("/")[0]
    return "." in first.strip(".") or ":" in first or first == "localhost"


def _sets_image(one: Attribute, variable: str, file: str) -> bool:
    if one.name != variable:
        return False
    if not one.blocks:
        return "tfvars" in file
    return one.blocks[0].startswith("module ") or one.blocks[-1] == "container"


def _example(text: str) -> bool:
    """Tell whether a reference stands for another: its owner is a placeholder."""
    return any(f"/{one}/" in text.lower() for one in _PLACEHOLDERS)
