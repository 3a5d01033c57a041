"""Programs that write images to registries: which of their command lines do. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_release.authority.acts import Act, Kind
from ec_release.authority.shell import is_open
from ec_release.authority.words import Words, operands, option, parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_GROUPS = frozenset(["image", "container", "manifest", "buildx", "compose", "builder"])
_FILES = frozenset(["docker-archive", "oci-archive", "oci", "dir", "nix", "tarball"])


def docker(name: str) -> Callable[[Words], Iterator[Act]]:
    """Return the reader of docker's command line, and of programs that take the same."""

    def act(words: Words) -> Iterator[Act]:
        group, found = "", operands(words, "docker")
        if found[:1] and found[0] in _GROUPS:
            group, *found = found
        match found:
            case ["imagetools", "create", *sources]:
                for tag in option(words, "-t", "--tag"):
                    source = f"image:{sources[0]}" if sources else ""
                    yield Act("image", f"{name} imagetools create", target=tag, source=source)
            case ["build" | "b" | "bud", *rest]:
                yield from _build(f"{name} build", words, rest[0] if rest else ".")
            case ["tag", old, new, *_]:
                yield Act("build", f"{name} tag", target=new, source=f"image:{old}")
            case ["push" | "bake" | "f" as verb, *rest]:
                yield from _push(name, group, verb, rest, pushes="--push" in words or any(map(_pushes, words)))
            case [verb, *_] if is_open(verb):
                yield Act("unclear", name, why=f"what {name} is told to do with {verb}")
            case _:
                pass

    return act


def _push(name: str, group: str, verb: str, rest: list[str], *, pushes: bool) -> Iterator[Act]:
    """Read `push`, or what pushes according to a file: `compose push` and `buildx bake --push`."""
    if verb == "push" and group != "compose":
        # `manifest push LIST DESTINATION`, as podman has it
        yield Act("image", f"{name} push", target=rest[-1] if rest else "")
    elif group == "compose" or pushes:
        yield Act("image", f"{name} {group} {verb}")


def _pushes(word: str) -> bool:
    """Tell whether an output of buildx goes to a registry."""
    return "type=registry" in word or "push=true" in word


def _build(tool: str, words: Words, context: str) -> Iterator[Act]:
    files = option(words, "-f", "--file")
    source = files[0] if files else f"{context.removesuffix('/')}/Dockerfile"
    outputs = option(words, "-o", "--output")
    pushes = "--push" in words or "--push=true" in words or any(map(_pushes, outputs))
    names = [part[5:] for one in outputs for part in parts(one) if part.startswith("name=")]
    for tag in option(words, "-t", "--tag") or names or [""]:
        kind: Kind = "image" if pushes else "build"
        yield Act(kind, tool, target=tag, source=f"dockerfile:{source.removeprefix('./')}")


def skopeo(words: Words) -> Iterator[Act]:
    """Read skopeo's command line."""
    match operands(words, "skopeo"):
        case ["copy", source, target, *_] if target.startswith("docker://") or is_open(target.partition(":")[0]):
            yield Act("image", "skopeo copy", target=target, source=_archive(source))
        case ["sync", source, target, *_] if "docker" in option(words, "--dest", "-d"):
            yield Act("image", "skopeo sync", target=f"{target}/{source.rpartition('/')[2]}")
        case [verb, *_] if is_open(verb):
            yield Act("unclear", "skopeo", why=f"what skopeo is told to do with {verb}")
        case _:
            pass


def _archive(text: str) -> str:
    """Return where the bytes of a copy come from: an archive by its file, an image by its name."""
    transport, _, rest = text.partition(":")
    if transport in _FILES:
        return f"file:{rest.partition(':')[0]}"
    return f"image:{rest.removeprefix('//')}"


def crane(words: Words) -> Iterator[Act]:
    """Read crane's command line."""
    match operands(words, "crane"):
        case ["push", source, target, *_]:
            yield Act("image", "crane push", target=target, source=f"file:{source}")
        case ["copy" | "cp", source, target, *_]:
            yield Act("image", "crane copy", target=target, source=f"image:{source}")
        case ["tag", source, tag, *_]:
            name = source.partition("@")[0]
            yield Act("image", "crane tag", target=f"{name}:{tag}", source=f"image:{source}")
        case ["append" | "mutate" | "rebase" | "index" | "push" | "copy" | "cp" | "tag" as verb, *rest]:
            for tag in option(words, "-t", "--tag") or rest[-1:] or [""]:
                yield Act("image", f"crane {verb}", target=tag)
        case [verb, *_] if is_open(verb):
            yield Act("unclear", "crane", why=f"what crane is told to do with {verb}")
        case _:
            pass


def oras(words: Words) -> Iterator[Act]:
    """Read the command line of oras."""
    match operands(words, "oras"):
        case ["push" | "attach" | "tag" as verb, target, *_]:
            yield Act("image", f"oras {verb}", target=target)
        case ["copy" | "cp", source, target, *_]:
            yield Act("image", "oras copy", target=target, source=f"image:{source}")
        case ["manifest" | "blob" as group, "push", target, *_]:
            yield Act("image", f"oras {group} push", target=target)
        case [verb, *_] if is_open(verb):
            yield Act("unclear", "oras", why=f"what oras is told to do with {verb}")
        case _:
            pass


def regctl(words: Words) -> Iterator[Act]:
    """Read regctl's command line."""
    match operands(words, "regctl"):
        case ["image", "copy", source, target, *_]:
            yield Act("image", "regctl image copy", target=target, source=f"image:{source}")
        case ["image" | "index", "import" | "mod" | "create" as verb, target, *_]:
            yield Act("image", f"regctl {verb}", target=target)
        case [verb, *_] if is_open(verb):
            yield Act("unclear", "regctl", why=f"what regctl is told to do with {verb}")
        case _:
            pass


def copy_to(words: Words) -> Iterator[Act]:
    """Read the command line of what an image of the flake copies itself with (ADR-002)."""
    name = words[0].rpartition("#")[2].removesuffix(".copyTo").removesuffix(".passthru").rpartition(".")[2]
    destinations = [word for word in words[1:] if word.startswith("docker://") or is_open(word)]
    for destination in destinations or words[1:2] or ("",):
        yield Act("image", "copyTo", target=destination, source=f"flake:{name}")
