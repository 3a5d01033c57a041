"""Actions of others: which publish, sign or scan, and which are known to do nothing of the kind. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ec_release.authority.acts import Act, Kind
from ec_release.authority.shell import is_open
from ec_release.authority.tools import PUBLISHING
from ec_release.authority.words import parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ec_release.authority.runs import Step

Inputs = dict[str, tuple[str, ...]]

HARMLESS = frozenset(
    (
        "actions/cache",
        "actions/cache/restore",
        "actions/cache/save",
        "actions/checkout",
        "actions/configure-pages",
        "actions/dependency-review-action",
        "actions/download-artifact",
        "actions/setup-go",
        "actions/setup-node",
        "actions/setup-python",
        "actions/upload-artifact",
        # Forgejo's forks of the two for artifacts
        "forgejo/download-artifact",
        "forgejo/upload-artifact",
        "actions/upload-pages-artifact",
        "astral-sh/setup-uv",
        "cachix/install-nix-action",
        "determinatesystems/determinate-nix-action",
        "determinatesystems/nix-installer-action",
        "docker/login-action",
        "docker/metadata-action",
        "docker/setup-buildx-action",
        "docker/setup-qemu-action",
        "github/codeql-action/analyze",
        "github/codeql-action/init",
        "github/codeql-action/upload-sarif",
        "nixbuild/nix-quick-install-action",
        "opentofu/setup-opentofu",
        "sigstore/cosign-installer",
        "zizmorcore/zizmor-action",
    )
)
"""Actions that publish nothing: what they are told to do, they do on the runner, or to the forge's own caches."""

_FALSE = ("", "false", "no", "off", "0")


def acts_of(step: Step) -> list[Act]:
    """Return what the action of *step* does."""
    inputs = dict(step.inputs)
    known = _ACTIONS.get(step.uses)
    if known is not None:
        return list(known(inputs))
    if step.uses in HARMLESS:
        return []
    if step.opaque:
        looks = PUBLISHING.search(step.opaque)
        what = f"a program that mentions {looks[0]!r}" if looks else "a program"
        return [Act("unclear", step.uses, why=f"what {step.uses} does, {what}")]
    return [Act("unclear", step.uses, why=f"what the action {step.uses} does")]


def _may(inputs: Inputs, name: str, default: str = "") -> bool:
    """Tell whether an input may be true."""
    return any(value.strip().lower() not in _FALSE for value in inputs.get(name, (default,)))


def _first(inputs: Inputs, name: str, default: str = "") -> str:
    return next(iter(inputs.get(name, ())), "") or default


def _items(inputs: Inputs, name: str) -> list[str]:
    """Return the entries of a list: a line each, or separated by commas. Expressions stay whole."""
    found: list[str] = []
    for text in inputs.get(name, ()):
        found += [part.strip() for part in re.split(r"[\n,](?![^{]*\}\})", text) if part.strip()]
    return list(dict.fromkeys(found))


def _build_push(inputs: Inputs) -> Iterator[Act]:
    outputs = " ".join(inputs.get("outputs", ()))
    pushes = _may(inputs, "push") or "type=registry" in outputs or "push=true" in outputs or is_open(outputs)
    names = [part.removeprefix("name=") for part in parts(outputs) if part.startswith("name=")]
    context = _first(inputs, "context", ".").removesuffix("/")
    for file in inputs.get("file", ()) or (f"{context}/Dockerfile",):
        source = f"dockerfile:{(file or f'{context}/Dockerfile').removeprefix('./')}"
        for target in _items(inputs, "tags") or names or [""]:
            yield Act("image" if pushes else "build", "docker/build-push-action", target=target, source=source)


def _bake(inputs: Inputs) -> Iterator[Act]:
    text = " ".join(inputs.get("set", ()))
    if _may(inputs, "push") or "type=registry" in text or "push=true" in text:
        yield Act("image", "docker/bake-action")


def _trivy(inputs: Inputs) -> Iterator[Act]:
    if _first(inputs, "scan-type", "image") == "image":
        codes = inputs.get("exit-code", ("0",))
        severity = ",".join(inputs.get("severity", ("CRITICAL,HIGH",)))
        fails = all(code.strip().isdigit() and code.strip() != "0" for code in codes)
        for target in inputs.get("image-ref", ("",)):
            yield Act(
                "scan", "aquasecurity/trivy-action", target=target, fails=fails and "CRITICAL" in severity.upper()
            )


def _anchore(inputs: Inputs) -> Iterator[Act]:
    for target in inputs.get("image", ("",)):
        yield Act("scan", "anchore/scan-action", target=target, fails=_may(inputs, "fail-build", "true"))


def _attest(inputs: Inputs) -> Iterator[Act]:
    if _may(inputs, "push-to-registry"):
        for name in inputs.get("subject-name", ("",)):
            for digest in inputs.get("subject-digest", ("",)):
                yield Act("sign", "attest", target=f"{name}@{digest}")


def _registry(tool: str) -> Callable[[Inputs], Iterator[Act]]:
    def act(inputs: Inputs) -> Iterator[Act]:
        image = _first(inputs, "image", _first(inputs, "name"))
        registry = _first(inputs, "registry")
        for tag in _items(inputs, "tags") or _items(inputs, "tag") or [""]:
            target = f"{registry}/{image}" if registry else image
            yield Act("image", tool, target=f"{target}:{tag}" if tag else target)

    return act


def _always(kind: Kind, tool: str, target: str = "") -> Callable[[Inputs], Iterator[Act]]:
    def act(inputs: Inputs) -> Iterator[Act]:
        yield Act(kind, tool, target=_first(inputs, target) if target else "")

    return act


def _script(inputs: Inputs) -> Iterator[Act]:
    yield Act("unclear", "actions/github-script", why="what a script in JavaScript does")
    if PUBLISHING.search("\n".join(inputs.get("script", ()))):
        yield Act("release", "actions/github-script")


def _download_only(name: str) -> Callable[[Inputs], Iterator[Act]]:
    def act(inputs: Inputs) -> Iterator[Act]:
        if _first(inputs, "direction", "download") != "download":
            yield Act("release", name, target=_first(inputs, "tag"))

    return act


_ACTIONS: Mapping[str, Callable[[Inputs], Iterator[Act]]] = {
    "docker/build-push-action": _build_push,
    "docker/bake-action": _bake,
    "redhat-actions/push-to-registry": _registry("redhat-actions/push-to-registry"),
    "macbre/push-to-ghcr": _registry("macbre/push-to-ghcr"),
    "elgohr/publish-docker-github-action": _registry("elgohr/publish-docker-github-action"),
    "mr-smithers-excellent/docker-build-push": _registry("mr-smithers-excellent/docker-build-push"),
    "aquasecurity/trivy-action": _trivy,
    "anchore/scan-action": _anchore,
    "actions/attest": _attest,
    "actions/attest-build-provenance": _attest,
    "actions/attest-sbom": _attest,
    "actions/github-script": _script,
    "actions/create-release": _always("release", "actions/create-release", "tag_name"),
    "actions/upload-release-asset": _always("release", "actions/upload-release-asset", "asset_name"),
    "actions/forgejo-release": _download_only("actions/forgejo-release"),
    "softprops/action-gh-release": _always("release", "softprops/action-gh-release", "tag_name"),
    "ncipollo/release-action": _always("release", "ncipollo/release-action", "tag"),
    "svenstaro/upload-release-action": _always("release", "svenstaro/upload-release-action", "tag"),
    "determinatesystems/flakehub-push": _always("flakehub", "DeterminateSystems/flakehub-push", "name"),
    "determinatesystems/flakehub-cache-action": _always("cache", "DeterminateSystems/flakehub-cache-action"),
    "determinatesystems/magic-nix-cache-action": _always("cache", "DeterminateSystems/magic-nix-cache-action"),
    "cachix/cachix-action": _always("cache", "cachix/cachix-action", "name"),
    "ryanccn/attic-action": _always("cache", "ryanccn/attic-action", "cache"),
}
