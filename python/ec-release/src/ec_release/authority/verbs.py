"""Our own program's verbs: what they publish, and what later steps are told by those that name images. Pure.

They are known here as any other program's command line is; names and tags come from the very code that the verbs
run.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, get_args

from ec_release.authority.acts import Act
from ec_release.authority.shell import is_open
from ec_release.authority.words import Words, option
from ec_release.container import tags

if TYPE_CHECKING:
    from collections.abc import Iterator

_METADATA = frozenset(["apply", "init", "min-version", "refresh", "withdraw"])
_CLASSES = get_args(tags.Class)
_TAGS = {"ci": ("git-*", tags.EDGE), "release": ("v*", tags.LATEST)}
"""The tags of a class, those with a commit or a version in them by how they begin."""


def acts_of(words: Words) -> Iterator[Act]:
    """Return what a command line does; *words* are those behind `ec-release`."""
    verbs = list(itertools.takewhile(lambda word: not word.startswith("-"), words))
    match verbs:
        case ["publish", *_]:
            places = option(words, "--server", "--directory") + option(words, "--repository")
            yield Act("release", "ec-release publish", target=" ".join(places))
        case ["push-images", *_]:
            registry, space = option(words, "--registry"), option(words, "--namespace")
            yield Act("images", "ec-release push-images", target="/".join([*(registry or ["ghcr.io"]), *space]))
        case ["image-promote", *_]:
            name = _name(words)
            for digest in option(words, "--digest") or [""]:
                for tag in (tag for kind in _classes(words) for tag in _TAGS[kind]):
                    yield Act("image", "ec-release image-promote", f"{name}:{tag}", source=f"image:{name}@{digest}")
        case ["trust", verb, *_] if verb in _METADATA:
            yield Act("metadata", f"ec-release trust {verb}")
        case [verb, *_] if is_open(verb):
            yield Act("unclear", "ec-release", why=f"which verb {verb} is")
        case _:
            pass


def outputs_of(words: Words) -> dict[str, str]:
    """Return the outputs of a step that can be told from a command line; *words* are those behind `ec-release`."""
    match words[:1]:
        case ("image-tags",):
            return {"image": _name(words)}
        case ("image-promote",):
            return {"reference": f"{_name(words)}@{next(iter(option(words, '--digest')), '')}"}
    return {}


def _name(words: Words) -> str:
    registry = next(iter(option(words, "--registry")), tags.REGISTRY)
    owner = next(iter(option(words, "--owner")), "")
    return f"{registry}/{owner}/{tags.IMAGE}"


def _classes(words: Words) -> list[str]:
    """Return the classes that a command line may ask for: all when it cannot be told."""
    given = option(words, "--class")
    return [kind for kind in _CLASSES if kind in given] or list(_CLASSES)
