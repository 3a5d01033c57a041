"""Every reader that is put under fire, by name."""

from __future__ import annotations

from tests.fuzz.targets import (
    around,
    broadcasts,
    derivation,
    images,
    kept,
    manifest,
    nar,
    narinfo,
    netboot,
    nix_text,
    release,
    settings,
    signed,
    store_db,
    trust,
    workflows,
)

NAMED = (
    nar.NAR, narinfo.NARINFO, derivation.DERIVATION, manifest.MANIFEST, signed.DSSE, trust.TUF, store_db.STORE_DB,
)  # fmt: skip
"""The formats that come from the network or from a disk that somebody else may have written."""

OTHERS = (
    signed.REPORT, settings.POLICY, settings.CONFIG, settings.NODE, nix_text.LOCK, nix_text.NIX32, nix_text.HASH, nix_text.ADDRESS,
    nix_text.STORE_PATH, nix_text.KEY, nix_text.EVENTS, nix_text.MOUNTS, kept.MEMORY, kept.EVIDENCE,
)  # fmt: skip

TARGETS = {
    target.name: target
    for target in (
        *NAMED,
        *OTHERS,
        *around.AROUND,
        *netboot.NETBOOT,
        *broadcasts.BROADCASTS,
        *release.RELEASE,
        *images.IMAGES,
        *workflows.WORKFLOWS,
    )
}
