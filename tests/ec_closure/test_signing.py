from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure.hashes import Hash
from ec_closure.signing import MAX_SIGNATURES, KeyFormatError, Keyring, PublicKey, SecretKey, fingerprint, valid_signers
from ec_closure.store_db import PathInfo, StoreDatabase
from ec_closure.store_path import StorePathError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import NixStore

PATH = "/nix/store/7zppdzywqpblqpqkznafbink14zmsrr7-x"
OTHER = "/nix/store/00000000000000000000000000000000-dep"
NAR_HASH = Hash.of("sha256", b"nar")
PRINT = fingerprint(PATH, NAR_HASH, 120, [OTHER])
KEY = SecretKey("cache-1", bytes(range(32)))


def encoded(data: bytes) -> str:
    """Return base64."""
    return base64.b64encode(data).decode()


class TestKeys:
    """Keys as text."""

    def test_keys_read_back(self) -> None:
        """Both halves, with the blanks that files end in."""
        key = SecretKey.generate("cache.example.org-1")

        assert key == SecretKey.parse(key.render() + "\n")
        assert key.public == PublicKey.parse(f" {key.public.render()}\n")
        assert key.public.name == "cache.example.org-1"
        assert key != SecretKey.generate("cache.example.org-1")

    def test_a_secret_does_not_show_in_messages(self) -> None:
        """Neither printed nor in what goes wrong with it."""
        text = KEY.render()
        secret = text.partition(":")[2]

        assert secret[:20] not in f"{KEY} {KEY!r} {[KEY]}"
        for broken in (text[:-4], text[:-10], text.replace("cache-1", ""), text + "!"):
            with pytest.raises(KeyFormatError) as caught:
                SecretKey.parse(broken)
            assert secret[:20] not in f"{caught.value} {caught.value.hint}"

    def test_halves_that_do_not_belong_together_are_refused(self) -> None:
        """Such a key would make signatures that no one can verify."""
        other = SecretKey.generate("cache-1")

        with pytest.raises(KeyFormatError, match="halves"):
            SecretKey.parse(f"cache-1:{encoded(bytes(range(32)) + other.public.data)}")

    def test_a_public_key_is_no_secret_key(self) -> None:
        """The message says what was mixed up."""
        with pytest.raises(KeyFormatError, match="32 bytes") as caught:
            SecretKey.parse(KEY.public.render())
        assert caught.value.hint is not None
        with pytest.raises(KeyFormatError, match="64 bytes"):
            PublicKey.parse(KEY.render())

    @given(st.text(max_size=60))
    def test_any_text_is_a_key_or_a_typed_error(self, text: str) -> None:
        """Configuration is typed by hand."""
        for candidate in (text, f"name:{text}", f"{text}:{encoded(bytes(32))}"):
            try:
                assert candidate.strip() == PublicKey.parse(candidate).render()
            except KeyFormatError:
                continue

    def test_base64_with_stray_bits_is_refused(self) -> None:
        """Else one key would have several spellings."""
        text = KEY.public.render()

        assert text.endswith("g=")
        with pytest.raises(KeyFormatError, match="not base64"):
            PublicKey.parse(text[:-2] + "h=")

    def test_two_keys_of_one_name_are_refused(self) -> None:
        """A name is text that anyone may choose: which of the two is meant, nobody can say (P37)."""
        one, two = SecretKey.generate("cache-1").public, SecretKey.generate("cache-1").public

        with pytest.raises(KeyFormatError, match="two different public keys are called cache-1"):
            Keyring.parse([one.render(), two.render()])
        assert len(Keyring.parse([one.render(), one.render()])) == 1

    def test_one_key_under_two_names_is_one_key(self) -> None:
        """What a threshold is compared with must count keys."""
        assert len(Keyring([KEY.public, replace(KEY.public, name="alias-1")])) == 1


class TestSigners:
    """Who signed, counted by the bytes of the key."""

    def test_a_signature_of_a_known_key_counts(self) -> None:
        """Beside others that do not."""
        signatures = ["", "junk", ":", "cache-1:", "cache-1:!", "other-1:AAAA", KEY.sign(PRINT)]

        assert frozenset({KEY.public.data}) == valid_signers(PRINT, signatures, Keyring([KEY.public]))

    def test_one_key_under_two_names_counts_once(self) -> None:
        """Nix counts two, so that a single key satisfies ``--sigs-needed 2`` (P37)."""
        alias = SecretKey("alias-1", bytes(range(32)))
        signatures = [KEY.sign(PRINT), alias.sign(PRINT)]

        assert len(valid_signers(PRINT, signatures, Keyring([KEY.public, alias.public]))) == 1

    def test_two_keys_count_twice_however_often_each_signed(self) -> None:
        """Signatures are a set of statements, not of votes."""
        second = SecretKey.generate("cache-2")
        signatures = [KEY.sign(PRINT), second.sign(PRINT), KEY.sign(PRINT), second.sign(PRINT)]

        signers = valid_signers(PRINT, signatures, Keyring([KEY.public, second.public]))
        assert {KEY.public.data, second.public.data} == signers

    def test_a_signature_under_another_keys_name_does_not_count(self) -> None:
        """The name leads to the key, and only the key decides."""
        second = SecretKey.generate("cache-2")
        forged = KEY.sign(PRINT).replace("cache-1:", "cache-2:")

        assert not valid_signers(PRINT, [forged], Keyring([KEY.public, second.public]))

    def test_a_bad_signature_does_not_hide_a_good_one(self) -> None:
        """A stranger may add garbage under our name, before or after."""
        bad = f"cache-1:{encoded(bytes(64))}"

        for signatures in ([bad, KEY.sign(PRINT)], [KEY.sign(PRINT), bad]):
            assert len(valid_signers(PRINT, signatures, Keyring([KEY.public]))) == 1

    def test_a_flood_of_signatures_costs_no_more_than_a_few(self) -> None:
        """Each could cost a public-key operation: those beyond the limit are not looked at."""
        looked_at = []

        def flood() -> Iterator[str]:
            while True:
                looked_at.append(1)
                yield f"cache-1:{encoded(bytes(64))}"

        assert not valid_signers(PRINT, flood(), Keyring([KEY.public]))
        assert MAX_SIGNATURES == len(looked_at)

    @given(st.integers(0, 63), st.integers(0, 7))
    def test_a_flipped_bit_makes_a_signature_worthless(self, byte: int, bit: int) -> None:
        """Wherever it is."""
        signature = bytearray(base64.b64decode(KEY.sign(PRINT).partition(":")[2]))
        signature[byte] ^= 1 << bit

        assert not valid_signers(PRINT, [f"cache-1:{encoded(bytes(signature))}"], Keyring([KEY.public]))

    @pytest.mark.parametrize(
        "other",
        [
            fingerprint(PATH, NAR_HASH, 121, [OTHER]),
            fingerprint(PATH, Hash.of("sha256", b"evil"), 120, [OTHER]),
            fingerprint(PATH, NAR_HASH, 120, []),
            fingerprint(PATH, NAR_HASH, 120, [OTHER, PATH]),
            fingerprint(PATH + "y", NAR_HASH, 120, [OTHER]),
        ],
    )
    def test_a_signature_on_anything_else_does_not_count(self, other: bytes) -> None:
        """Size, hash, references and path are all signed."""
        assert not valid_signers(other, [KEY.sign(PRINT)], Keyring([KEY.public]))


class TestFingerprint:
    """What is signed."""

    def test_it_is_spelled_as_nix_spells_it(self) -> None:
        """References sorted, each once."""
        assert f"1;{PATH};{NAR_HASH.nix32};120;{OTHER},{PATH}".encode() == fingerprint(
            PATH, NAR_HASH, 120, [PATH, OTHER, PATH]
        )

    def test_paths_are_of_the_store_that_is_named(self) -> None:
        """A separator smuggled into a path cannot make another fingerprint."""
        for path, references in (("/gnu/store/" + PATH[11:], []), (PATH, [OTHER + ";1"]), (PATH, [f"{OTHER},{PATH}"])):
            with pytest.raises(StorePathError):
                fingerprint(path, NAR_HASH, 120, references)
        assert fingerprint("/gnu/store/" + PATH[11:], NAR_HASH, 120, [], "/gnu/store")

    def test_what_nix_does_not_sign_is_not_signed_here(self) -> None:
        """A path of unknown size, or of another hash."""
        with pytest.raises(KeyFormatError, match="size"):
            fingerprint(PATH, NAR_HASH, 0, [])
        with pytest.raises(KeyFormatError, match="SHA-256"):
            fingerprint(PATH, Hash.of("sha512", b""), 120, [])


@pytest.mark.nix
class TestAgainstNix:
    """Nix accepts what we sign, and we accept what it signs."""

    @pytest.fixture(scope="class")
    def path(self, nix_store: NixStore) -> str:
        """Build something that refers to something, and is not content-addressed: those need no signature."""
        [path] = nix_store.build("""
          derivation {
            name = "x"; system = builtins.currentSystem; builder = "/bin/sh";
            args = [ "-c" "echo $out ${builtins.toFile "dep" "dep"} > $out" ];
          }""")
        return path

    def info(self, nix_store: NixStore, path: str) -> PathInfo:
        """Return what the store's database says."""
        with StoreDatabase.open(nix_store.state_dir, store_dir=nix_store.store_dir) as database:
            info = database.path_info(path)
        assert info is not None
        return info

    def fingerprint(self, nix_store: NixStore, path: str) -> bytes:
        """Return what is signed for *path*."""
        info = self.info(nix_store, path)
        return fingerprint(path, info.nar_hash, info.nar_size, info.references, nix_store.store_dir)

    def test_we_accept_the_signatures_of_nix(self, nix_store: NixStore, path: str) -> None:
        """With keys that Nix made, and read from its files."""
        nix_store.run("nix-store", "--generate-binary-cache-key", "theirs-1", "theirs.sec", "theirs.pub")
        nix_store.run("nix", "store", "sign", "--key-file", "theirs.sec", path)
        public = PublicKey.parse((nix_store.root / "theirs.pub").read_text())
        secret = SecretKey.parse((nix_store.root / "theirs.sec").read_text())

        info = self.info(nix_store, path)
        assert public == secret.public
        assert {public.data} == valid_signers(self.fingerprint(nix_store, path), info.signatures, Keyring([public]))

    def test_nix_signs_with_our_keys_as_we_do(self, nix_store: NixStore, path: str) -> None:
        """Ed25519 is deterministic: the signatures are the same text."""
        ours = SecretKey.generate("ours-1")
        (nix_store.root / "ours.sec").write_text(ours.render())
        nix_store.run("nix", "store", "sign", "--key-file", "ours.sec", path)

        assert ours.sign(self.fingerprint(nix_store, path)) in self.info(nix_store, path).signatures
        assert ours.public.render() == nix_store.run(
            "nix", "key", "convert-secret-to-public", stdin=ours.render().encode()
        )

    def test_nix_takes_one_key_under_two_names_for_two(self, nix_store: NixStore, path: str) -> None:
        """The reason why keys are counted here: should this fail one day, Nix has mended it (fact 3)."""
        seed = bytes(range(100, 132))
        keys = [SecretKey("a-1", seed), SecretKey("b-1", seed)]
        for key in keys:
            (nix_store.root / "key").write_text(key.render())
            nix_store.run("nix", "store", "sign", "--key-file", "key", path)
        publics = [key.public.render() for key in keys]
        verify = ("nix", "store", "verify", "--sigs-needed", "2", "--trusted-public-keys", " ".join(publics), path)
        theirs = nix_store.attempt(*verify).returncode

        info = self.info(nix_store, path)
        assert theirs == 0
        assert len(valid_signers(self.fingerprint(nix_store, path), info.signatures, Keyring.parse(publics))) == 1

    def test_tampered_rows_lose_their_signatures(self, nix_store: NixStore, path: str) -> None:
        """Signing a path says nothing about another hash for it."""
        key = SecretKey.generate("good-1")
        (nix_store.root / "key").write_text(key.render())
        nix_store.run("nix", "store", "sign", "--key-file", "key", path)
        info = self.info(nix_store, path)
        evil = fingerprint(
            path, Hash.of("sha256", b"evil"), info.nar_size, info.references, store_dir=nix_store.store_dir
        )

        assert Path(path).exists()
        assert valid_signers(self.fingerprint(nix_store, path), info.signatures, Keyring([key.public]))
        assert not valid_signers(evil, info.signatures, Keyring([key.public]))
