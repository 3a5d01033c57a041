"""Options and operands of command lines. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Words = tuple[str, ...]

_PART = re.compile(r"(?:\$\{\{.*?\}\}|[^\s,])+", re.DOTALL)

_VALUES = {
    # Options with a value in the next word, of all tools here that have operands.
    "docker": "-H --host -c --context --config -l --log-level -f --file -t --tag --build-arg --platform"
    " --target --label -o --output --cache-from --cache-to --secret --ssh --builder --network"
    " --progress --iidfile --metadata-file --annotation --attest --load-from --set --creds --authfile"
    " --cert-dir --digestfile --format --sign-by --tls-verify",
    "skopeo": "--src-creds --dest-creds --creds --authfile --src-authfile --dest-authfile --digestfile --format"
    " -f --policy --registries.d --override-arch --override-os --override-variant --src-cert-dir"
    " --dest-cert-dir --sign-by --tmpdir --retry-times --command-timeout --src-username --src-password"
    " --dest-username --dest-password --src -s --dest -d --multi-arch --additional-tag"
    " --dest-compress-format --image-parallel-copies",
    "crane": "--platform -t --tag -f --new_layer -b --base -o --output -l --label -e --env --user --workdir -a -m",
    "cosign": "--key --identity-token --certificate-identity --certificate-oidc-issuer --predicate --type"
    " --output --output-signature --output-certificate --certificate-identity-regexp"
    " --certificate-oidc-issuer-regexp --rekor-url --fulcio-url --annotations -a --certificate"
    " --certificate-chain --oidc-issuer --registry-username --registry-password"
    " --certificate-github-workflow-name --certificate-github-workflow-ref"
    " --certificate-github-workflow-repository --certificate-github-workflow-sha"
    " --certificate-github-workflow-trigger --timeout -t --policy --signature --bundle --trusted-root"
    " --output-file",
    "trivy": "--exit-code --severity --format -f --output -o --timeout --ignorefile --input --scanners"
    " --vuln-type --pkg-types --cache-dir --config -c --username --password --platform --image-src"
    " --db-repository --template -t",
    "grype": "--fail-on -f --output -o --file --config -c --platform --scope -s",
    "oras": "--username -u --password -p --config --artifact-type --annotation -a --annotation-file"
    " --export-manifest --registry-config --to-registry-config --from-registry-config --format"
    " --concurrency",
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


def parts(text: str) -> list[str]:
    """Return what commas and white space part; an expression `${{ … }}` is not taken apart."""
    return _PART.findall(text)
