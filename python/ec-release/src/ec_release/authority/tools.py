"""Programs that publish, sign, scan or deploy: which of their command lines do what. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ec_release.authority.acts import Act
from ec_release.authority.shell import is_open

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Words = tuple[str, ...]

PUBLISHING = re.compile(
    r"\b(?:docker|podman|nerdctl|buildah)\b[\s'\",\[\]]+(?:image[\s'\",]+|manifest[\s'\",]+)?push\b|\bskopeo\b[\s'\",]+(?:copy|sync)"
    r"|\bcrane\b[\s'\",]+(?:push|copy|cp|tag|append|mutate)|\boras\b[\s'\",]+(?:push|copy|cp)|\bregctl\b[\s'\",]+image"
    r"|\.copyTo\b|\bflakehub[-_]?push|\bgh\b[\s'\",]+release[\s'\",]+(?:create|upload)|uploadReleaseAsset|createRelease\b"
    r"|--push\b|ec[-_]release[\s'\",]+(?:publish|push-images)|/v2/[^\s]*/blobs/uploads|type=registry"
)
"""What in a text that is not understood looks like a publication."""

_VALUES = {
    # Options with a value in the next word, of all tools here that have operands.
    "docker": "-H --host -c --context --config -l --log-level -f --file -t --tag --build-arg --platform --target --label"
    " -o --output --cache-from --cache-to --secret --ssh --builder --network --progress --iidfile --metadata-file"
    " --annotation --attest --load-from --set --creds --authfile --cert-dir --digestfile --format --sign-by --tls-verify",
    "skopeo": "--src-creds --dest-creds --creds --authfile --src-authfile --dest-authfile --digestfile --format -f"
    " --policy --registries.d --override-arch --override-os --override-variant --src-cert-dir --dest-cert-dir"
    " --sign-by --tmpdir --retry-times --command-timeout --src-username --src-password --dest-username --dest-password"
    " --src -s --dest -d --multi-arch --additional-tag --dest-compress-format --image-parallel-copies",
    "crane": "--platform -t --tag -f --new_layer -b --base -o --output -l --label -e --env --user --workdir -a -m",
    "cosign": "--key --identity-token --certificate-identity --certificate-oidc-issuer --predicate --type --output"
    " --output-signature --output-certificate --certificate-identity-regexp --certificate-oidc-issuer-regexp --rekor-url"
    " --fulcio-url --annotations -a --certificate --certificate-chain --oidc-issuer --registry-username"
    " --registry-password --timeout -t --policy --signature --bundle --trusted-root --output-file",
    "trivy": "--exit-code --severity --format -f --output -o --timeout --ignorefile --input --scanners --vuln-type"
    " --pkg-types --cache-dir --config -c --username --password --platform --image-src --db-repository --template -t",
    "grype": "--fail-on -f --output -o --file --config -c --platform --scope -s",
    "oras": "--username -u --password -p --config --artifact-type --annotation -a --annotation-file --export-manifest"
    " --registry-config --to-registry-config --from-registry-config --format --concurrency",
    "gh": "-R --repo -t --title -n --notes -F --notes-file --target --discussion-category --notes-start-tag",
}


def operands(words: Iterable[str], tool: str) -> list[str]:
    """Return the words that are neither options nor their values."""
    valued, found, skip = frozenset(_VALUES.get(tool, "").split()), [], False
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-") and len(word) > 1:
            skip = word in valued
        else:
            found.append(word)
    return found


def option(words: Words, *names: str) -> list[str]:
    """Return the values that an option is given, as `--name value` or `--name=value`."""
    found = []
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in names and equals:
            found.append(value)
        elif word in names and at + 1 < len(words):
            found.append(words[at + 1])
    return found


def acts_of(words: Words, environment: dict[str, tuple[str, ...]]) -> list[Act]:
    """Return what one command line does. *words* begin with the program, without wrappers."""
    name = words[0].rpartition("/")[2] if words else ""
    if name in _TOOLS:
        return list(_TOOLS[name](words[1:]))
    if name in ("tofu", "terraform", "terragrunt"):
        return list(_tofu(name, words[1:], environment))
    if name.endswith("copyTo"):
        return list(_copy_to(words))
    if is_open(words[0]) if words else False:
        return [Act("unclear", words[0], why=f"which program {words[0]} is")]
    return []


def _docker(name: str) -> Callable[[Words], Iterator[Act]]:
    def docker(words: Words) -> Iterator[Act]:
        found = operands(words, "docker")
        verb = found[0] if found else ""
        if verb in ("image", "container", "manifest", "buildx", "compose", "builder") and len(found) > 1:
            group, found = verb, found[1:]
            verb = found[0]
        else:
            group = ""
        if verb in ("build", "b", "bud"):
            yield from _build(f"{name} build", words, found)
        elif verb == "push" and group != "compose":
            # `manifest push LIST DESTINATION`, as podman has it
            yield Act("image", f"{name} push", target=found[-1] if len(found) > 1 else "")
        elif verb in ("push", "bake", "f") and (group == "compose" or "--push" in words or any(map(_pushes, words))):
            yield Act("image", f"{name} {group} {verb}")
        elif verb == "create" and group in ("buildx", "manifest") or "imagetools" in words and "create" in words:
            for tag in option(words, "-t", "--tag"):
                yield Act("image", f"{name} imagetools create", target=tag)
        elif verb == "tag" and len(found) > 2:
            yield Act("build", f"{name} tag", target=found[2], source=f"image:{found[1]}")
        elif is_open(verb):
            yield Act("unclear", name, why=f"what {name} is told to do with {verb}")

    return docker


def _pushes(word: str) -> bool:
    """Tell whether an output of buildx goes to a registry."""
    return "type=registry" in word or "push=true" in word


def _build(tool: str, words: Words, found: list[str]) -> Iterator[Act]:
    context = found[1] if len(found) > 1 else "."
    files = option(words, "-f", "--file")
    source = f"dockerfile:{files[0] if files else f'{context}/Dockerfile'.removeprefix('./')}"
    pushes = "--push" in words or "--push=true" in words or any(map(_pushes, option(words, "-o", "--output")))
    tags = option(words, "-t", "--tag")
    names = [part[5:] for one in option(words, "-o", "--output") for part in one.split(",") if part.startswith("name=")]
    for tag in tags or names or [""]:
        yield Act("image" if pushes else "build", tool, target=tag, source=source)


def _skopeo(words: Words) -> Iterator[Act]:
    found = operands(words, "skopeo")
    if found[:1] == ["copy"] and len(found) > 2:
        if found[2].startswith("docker://") or is_open(found[2].partition(":")[0]):
            yield Act("image", "skopeo copy", target=found[2], source=_archive(found[1]))
    elif found[:1] == ["sync"] and "docker" in option(words, "--dest", "-d"):
        yield Act("image", "skopeo sync", target="" if len(found) < 3 else f"{found[2]}/{found[1].rpartition('/')[2]}")
    elif found and is_open(found[0]):
        yield Act("unclear", "skopeo", why=f"what skopeo is told to do with {found[0]}")


def _archive(text: str) -> str:
    """Return where the bytes of a copy come from: an archive by its file, an image by its name."""
    transport, _, rest = text.partition(":")
    if transport in ("docker-archive", "oci-archive", "oci", "dir", "nix", "tarball"):
        return f"file:{rest.partition(':')[0] if transport != 'oci' else rest}"
    return f"image:{rest.removeprefix('//')}"


def _crane(words: Words) -> Iterator[Act]:
    found = operands(words, "crane")
    verb = found[0] if found else ""
    if verb in ("push", "copy", "cp") and len(found) > 2:
        yield Act("image", f"crane {verb}", target=found[2], source=f"{'file' if verb == 'push' else 'image'}:{found[1]}")
    elif verb == "tag" and len(found) > 2:
        yield Act("image", "crane tag", target=f"{found[1].partition('@')[0]}:{found[2]}", source=f"image:{found[1]}")
    elif verb in ("append", "mutate", "rebase", "index", "push", "copy", "cp", "tag"):
        for tag in option(words, "-t", "--tag") or [found[-1]]:
            yield Act("image", f"crane {verb}", target=tag)
    elif is_open(verb):
        yield Act("unclear", "crane", why=f"what crane is told to do with {verb}")


def _oras(words: Words) -> Iterator[Act]:
    found = operands(words, "oras")
    verb = found[0] if found else ""
    if verb in ("push", "attach", "tag") and len(found) > 1:
        yield Act("image", f"oras {verb}", target=found[1])
    elif verb in ("copy", "cp") and len(found) > 2:
        yield Act("image", f"oras {verb}", target=found[2], source=f"image:{found[1]}")
    elif verb in ("manifest", "blob") and "push" in found and len(found) > 2:
        yield Act("image", f"oras {verb} push", target=found[2])


def _regctl(words: Words) -> Iterator[Act]:
    found = operands(words, "regctl")
    if found[:2] in (["image", "copy"], ["image", "import"], ["image", "mod"], ["index", "create"]) and len(found) > 2:
        yield Act("image", " ".join(["regctl", *found[:2]]), target=found[-1] if found[1] != "import" else found[2])


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
        yield Act("scan", "grype", target=found[0].removeprefix("registry:"), fails=bool(option(words, "--fail-on", "-f")))


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
    elif found and is_open(found[0]) or (found[:1] == ["release"] and len(found) > 1 and is_open(found[1])):
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
            yield Act("image", "curl", target=re.sub(r"^https?://([^/]+)/v2/(.*?)/(?:manifests|blobs)/.*", r"\1/\2", word))
        elif re.search(r"/releases|uploads\.github|/packages", word):
            yield Act("release", "curl", target=word)


def _ec_release(words: Words) -> Iterator[Act]:
    found = [word for word in words if not word.startswith("-")]
    verb = found[0] if found else ""
    if verb == "publish":
        yield Act("release", "ec-release publish", target=" ".join(option(words, "--server", "--directory")))
    elif verb == "push-images":
        registry, space = option(words, "--registry"), option(words, "--namespace", "--ghcr-namespace")
        yield Act("images", "ec-release push-images", target="/".join([*(registry or ["ghcr.io"]), *space]))
    elif verb == "trust" and found[1:2] and found[1] in ("refresh", "apply", "withdraw", "min-version", "init"):
        yield Act("metadata", f"ec-release trust {found[1]}")
    elif is_open(verb):
        yield Act("unclear", "ec-release", why=f"which verb {verb} is")


def _copy_to(words: Words) -> Iterator[Act]:
    name = words[0].rpartition("#")[2].removesuffix(".copyTo").removesuffix(".passthru").rpartition(".")[2]
    destinations = [word for word in words[1:] if word.startswith("docker://") or is_open(word)]
    for destination in destinations or words[1:2]:
        yield Act("image", "copyTo", target=destination, source=f"flake:{name}")


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
                yield Act("build", "nix build", target=f"file:{links[0] if links else 'result'}", source=f"flake:{name}")
    elif found[:1] == ["copy"] and option(words, "--to"):
        yield Act("cache", "nix copy", target=option(words, "--to")[0])


_TOOLS: dict[str, Callable[[Words], Iterator[Act]]] = {
    "docker": _docker("docker"),
    "podman": _docker("podman"),
    "nerdctl": _docker("nerdctl"),
    "buildah": _docker("buildah"),
    "skopeo": _skopeo,
    "crane": _crane,
    "gcrane": _crane,
    "oras": _oras,
    "regctl": _regctl,
    "cosign": _cosign,
    "trivy": _trivy,
    "grype": _grype,
    "gh": _gh,
    "hub": _gh,
    "tea": _always("release", "tea", "release", "releases"),
    "glab": _always("release", "glab", "release"),
    "curl": _curl,
    "wget": _curl,
    "ec-release": _ec_release,
    "nix": _nix,
    "helm": _always("image", "helm", "push"),
    "ko": _always("image", "ko", "build", "publish", "apply", "resolve"),
    "kubectl": _kubectl,
    "flakehub-push": _always("flakehub", "flakehub-push"),
    "fh": _always("flakehub", "fh", "publish", "push"),
    "cachix": _always("cache", "cachix", "push", "watch-exec", "watch-store"),
    "attic": _always("cache", "attic", "push", "watch-store"),
}
