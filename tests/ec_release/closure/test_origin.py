"""How a build machine came by a path."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ec_closure.hashes import Hash
from ec_closure.signing import Keyring, SecretKey, fingerprint
from ec_closure.store_db import PathInfo
from ec_release.closure.errors import UnknownOriginError
from ec_release.closure.graph import Graph
from ec_release.closure.origin import Origin, origin_of

_PATH = f"/nix/store/{'0' * 32}-thing"
_DRV = f"/nix/store/{'1' * 32}-thing.drv"
_ROW = PathInfo(_PATH, Hash.of("sha256", b""), 120, ())
_KEY = SecretKey.generate("cache-1")
_KEYS = Keyring([_KEY.public])
_SIGNATURE = _KEY.sign(fingerprint(_PATH, _ROW.nar_hash, _ROW.nar_size, ()))
_MADE = Graph(makers={_PATH: (_DRV, "out")})


def test_output_without_a_signature_was_built_here() -> None:
    """Whether the machine still remembers it or not."""
    expected = Origin("built", _DRV, "out")

    assert expected == origin_of(replace(_ROW, ultimate=True), _MADE, _KEYS)
    assert expected == origin_of(_ROW, _MADE, _KEYS)


def test_output_with_a_trusted_signature_was_substituted() -> None:
    """The cache is named by its key, the maker stays known."""
    assert Origin("substituted", _DRV, "out", "cache-1") == origin_of(
        replace(_ROW, signatures=(_SIGNATURE,)), _MADE, _KEYS
    )


def test_output_built_here_and_signed_afterwards_was_built_here() -> None:
    """A machine that signs what it builds does not become a cache."""
    row = replace(_ROW, ultimate=True, signatures=(_SIGNATURE,))

    assert "built" == origin_of(row, _MADE, _KEYS).origin


@pytest.mark.parametrize(
    "signature",
    [
        SecretKey.generate("cache-1").sign(fingerprint(_PATH, _ROW.nar_hash, _ROW.nar_size, ())),
        SecretKey.generate("stranger-1").sign(fingerprint(_PATH, _ROW.nar_hash, _ROW.nar_size, ())),
        _KEY.sign(fingerprint(_PATH, _ROW.nar_hash, _ROW.nar_size + 1, ())),
        "cache-1:garbage",
    ],
    ids=["other key of that name", "key of a stranger", "of other bytes", "garbage"],
)
def test_signature_that_does_not_hold_vouches_for_nothing(signature: str) -> None:
    """A path that only such a signature speaks for has no origin."""
    with pytest.raises(UnknownOriginError, match="nor signed by a trusted cache"):
        origin_of(replace(_ROW, signatures=(signature,)), Graph(), _KEYS)


def test_source_of_the_build_was_copied() -> None:
    """Also when a cache signed it: its name fixes it."""
    row = replace(_ROW, signatures=(_SIGNATURE,))

    assert Origin("copied") == origin_of(row, Graph(sources={_PATH}), _KEYS)


def test_content_addressed_path_that_the_build_does_not_know_was_copied() -> None:
    """The flake's own source is one: nothing builds from it, but outputs refer to it."""
    assert Origin("copied") == origin_of(replace(_ROW, ca="fixed:r:sha256:x"), Graph(), _KEYS)


def test_signed_path_that_the_build_does_not_know_was_substituted() -> None:
    """Without a maker, since nothing tells which."""
    assert Origin("substituted", None, None, "cache-1") == origin_of(
        replace(_ROW, signatures=(_SIGNATURE,)), Graph(), _KEYS
    )
