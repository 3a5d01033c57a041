"""Programs that publish, sign, scan or deploy: which of their command lines do what. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ec_release.authority import image_tools, verbs
from ec_release.authority.acts import Act
from ec_release.authority.shell import is_open
from ec_release.authority.words import Words, operands, option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PUBLISHING = re.compile(
    r"\b(?:docker|podman|nerdctl|buildah)\b[\s'\",\[\]]+(?:image[\s'\",]+|manifest[\s'\",]+)?push\b|\bskopeo\b[\s'\",]+(?:copy|sync)"
    r"|\bcrane\b[\s'\",]+(?:push|copy|cp|tag|append|mutate)|\boras\b[\s'\",]+(?:push|copy|cp)|\bregctl\b[\s'\",]+image"
    r"|\.copyTo\b|\bflakehub[-_]?push|\bgh\b[\s'\",]+release[\s'\",]+(?:create|upload)|uploadReleaseAsset|createRelease\b"
    r"|--push\b|ec[-_]release[\s'\",]+(?:publish|push-images)|/v2/[^\s]*/blobs/uploads|type=registry"
)
"""What in a text that is not understood looks like a publication."""


def acts_of(words: Words, environment: dict[str, tuple[str, ...]]) -> list[Act]:
    """Return what one command line does. *words* begin with the program, without wrappers."""
    name = words[0].rpartition("/")[2] if words else ""
    if name in _TOOLS:
        return list(_TOOLS[name](words[1:]))
    if name in ("tofu", "terraform", "terragrunt"):
        return list(_tofu(name, words[1:], environment))
    if name.endswith("copyTo"):
        return list(image_tools.copy_to(words))
    if is_open(words[0]) if words else False:
        return [Act("unclear", words[0], why=f"which program {words[0]} is")]
    return []


def _cosign(words: Words) -> Iterator[Act]:
    found = operands(words, "cosign")
    verb = found[0] if found else ""
    if verb in ("sign", "attest"):
        for target in found[1:] or [""]:
            yield Act("sign", f"cosign {verb}", target=target)
    elif verb in ("verify", "verify-attestation"):
        for target in found[1:] or [""]:
            yield Act("verify", f"cosign {verb}", target=target)
    elif verb in ("copy", "load") and len(found) > 1:
        yield Act("image", f"cosign {verb}", target=found[-1])
    elif is_open(verb):
        yield Act("unclear", "cosign", why=f"what cosign is told to do with {verb}")


def _trivy(words: Words) -> Iterator[Act]:
    found = operands(words, "trivy")
    if found[:1] in (["image"], ["i"]):
        codes = option(words, "--exit-code")
        yield Act("scan", "trivy image", target=found[1] if len(found) > 1 else "", fails=codes not in ([], ["0"]))


def _grype(words: Words) -> Iterator[Act]:
    found = operands(words, "grype")
    if found:
        yield Act(
            "scan", "grype", target=found[0].removeprefix("registry:"), fails=bool(option(words, "--fail-on", "-f"))
        )


def _gh(words: Words) -> Iterator[Act]:
    found = operands(words, "gh")
    if found[:1] == ["release"] and len(found) > 1 and found[1] in ("create", "upload", "edit"):
        yield Act("release", f"gh release {found[1]}", target=" ".join(found[2:]))
    elif found[:1] == ["api"]:
        methods = {one.upper() for one in option(words, "-X", "--method")}
        fields = option(words, "-f", "-F", "--field", "--raw-field", "--input")
        where = " ".join(found[1:])
        if (methods - {"GET"} or (fields and "GET" not in methods)) and re.search(r"release|package|\$", where):
            yield Act("release", "gh api", target=where)
    elif (found and is_open(found[0])) or (found[:1] == ["release"] and len(found) > 1 and is_open(found[1])):
        yield Act("unclear", "gh", why=f"what gh is told to do with {' '.join(found[:2])}")


def _curl(words: Words) -> Iterator[Act]:
    sends = [
        word
        for word in words
        if re.match(r"-(?:T|d|F)|--(?:upload-file|data|form|json|post-data|post-file|body-data|body-file)", word)
    ]
    methods = {one.upper() for one in option(words, "-X", "--request", "--method")}
    if not sends and not methods & {"POST", "PUT", "PATCH"}:
        return
    for word in words:
        if re.search(r"flakehub", word):
            yield Act("flakehub", "curl", target=word)
        elif re.search(r"/v2/|ghcr\.io", word):
            yield Act(
                "image", "curl", target=re.sub(r"^https?://([^/]+)/v2/(.*?)/(?:manifests|blobs)/.*", r"\1/\2", word)
            )
        elif re.search(r"/releases|uploads\.github|/packages", word):
            yield Act("release", "curl", target=word)


def _tofu(name: str, words: Words, environment: dict[str, tuple[str, ...]]) -> Iterator[Act]:
    found = [word for word in words if not word.startswith("-")]
    if not {"apply", "plan", "import"} & set(found):
        return
    given = [one.partition("=") for one in option(words, "-var", "--var")]
    images = [value for key, _, value in given if key == "image"]
    # As `-var=image=…`
    images += [one.partition("=")[2] for one in images if one.startswith("image=")]
    for image in images or list(environment.get("TF_VAR_image", ())):
        yield Act("deploy", name, target=image)


def _kubectl(words: Words) -> Iterator[Act]:
    if {"set", "image"} <= set(words):
        for word in words:
            key, equals, value = word.partition("=")
            if equals and not key.startswith("-"):
                yield Act("deploy", "kubectl set image", target=value)


def _always(kind: str, tool: str, *verbs: str) -> Callable[[Words], Iterator[Act]]:
    def act(words: Words) -> Iterator[Act]:
        found = [word for word in words if not word.startswith("-")]
        if not verbs or (found and found[0] in verbs):
            yield Act(kind, " ".join([tool, *found[:1]]), target=" ".join(found[1:]))  # type: ignore[arg-type] # a Kind

    return act


def _nix(words: Words) -> Iterator[Act]:
    found = [word for word in words if not word.startswith("-")]
    if found[:1] == ["build"]:
        links = option(words, "-o", "--out-link")
        for installable in found[1:]:
            if "#" in installable:
                name = installable.rpartition("#")[2].rpartition(".")[2]
                yield Act(
                    "build", "nix build", target=f"file:{links[0] if links else 'result'}", source=f"flake:{name}"
                )
    elif found[:1] == ["copy"] and option(words, "--to"):
        yield Act("cache", "nix copy", target=option(words, "--to")[0])


_TOOLS: dict[str, Callable[[Words], Iterator[Act]]] = {
    "docker": image_tools.docker("docker"),
    "podman": image_tools.docker("podman"),
    "nerdctl": image_tools.docker("nerdctl"),
    "buildah": image_tools.docker("buildah"),
    "skopeo": image_tools.skopeo,
    "crane": image_tools.crane,
    "gcrane": image_tools.crane,
    "oras": image_tools.oras,
    "regctl": image_tools.regctl,
    "cosign": _cosign,
    "trivy": _trivy,
    "grype": _grype,
    "gh": _gh,
    "hub": _gh,
    "tea": _always("release", "tea", "release", "releases"),
    "glab": _always("release", "glab", "release"),
    "curl": _curl,
    "wget": _curl,
    "ec-release": verbs.acts_of,
    "nix": _nix,
    "helm": _always("image", "helm", "push"),
    "ko": _always("image", "ko", "build", "publish", "apply", "resolve"),
    "kubectl": _kubectl,
    "flakehub-push": _always("flakehub", "flakehub-push"),
    "fh": _always("flakehub", "fh", "publish", "push"),
    "cachix": _always("cache", "cachix", "push", "watch-exec", "watch-store"),
    "attic": _always("cache", "attic", "push", "watch-store"),
}
