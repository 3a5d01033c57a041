from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure.hashes import Hash
from ec_closure.narinfo import MAX_SIZE, NarInfo, NarInfoError, NarInfoLimitError
from ec_closure.nix32 import ALPHABET
from ec_closure.signing import MAX_SIGNATURES, Keyring, PublicKey, SecretKey
from ec_closure.store_path import StorePath

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import NixStore

paths = st.builds(
    lambda hash_part, name: StorePath(hash_part, name).within(),
    st.text(ALPHABET, min_size=32, max_size=32),
    st.text("abc-._?=+", min_size=1, max_size=8),
)
hashes = st.binary(max_size=4).map(lambda data: Hash.of("sha256", data))
words = st.text("abc/.:019-+=", min_size=1, max_size=12)
infos = st.builds(
    NarInfo,
    store_path=paths,
    url=words,
    compression=st.sampled_from(["none", "xz", "zstd", "bzip2"]),
    nar_hash=hashes,
    nar_size=st.integers(1, 10**17),
    references=st.sets(paths, max_size=4).map(sorted).map(tuple),
    file_hash=st.none() | hashes,
    file_size=st.none() | st.integers(0, 10**17),
    deriver=st.none() | paths,
    signatures=st.lists(words, max_size=3).map(tuple),
    ca=st.none() | words,
)

KEY = SecretKey("cache-1", bytes(range(32)))
TEXT = """\
StorePath: /nix/store/7zppdzywqpblqpqkznafbink14zmsrr7-x
URL: nar/x.nar.xz
Compression: xz
FileHash: sha256:193s6bfb4ncbr0d3rpb177cac43b2z2h3afxi7grcswgci346hwg
FileSize: 100
NarHash: sha256:193s6bfb4ncbr0d3rpb177cac43b2z2h3afxi7grcswgci346hwg
NarSize: 120
References: 00000000000000000000000000000000-dep 7zppdzywqpblqpqkznafbink14zmsrr7-x
Deriver: 11111111111111111111111111111111-x.drv
Sig: cache-1:AAAA
Sig: cache-2:BBBB
"""


@given(infos)
def test_what_was_rendered_reads_back(info: NarInfo) -> None:
    """Every field, with or without the optional ones."""
    assert info == NarInfo.parse(info.render())
    assert info == NarInfo.parse(info.render().encode())


def test_a_file_of_nix_reads_and_renders_as_it_is() -> None:
    """Fields in their order, references as base names."""
    info = NarInfo.parse(TEXT)

    assert info.render() == TEXT
    assert info.store_path in info.references
    assert info.signatures == ("cache-1:AAAA", "cache-2:BBBB")
    assert info.deriver == "/nix/store/11111111111111111111111111111111-x.drv"


@given(infos, st.data())
def test_any_mutation_is_a_narinfo_or_a_typed_error(info: NarInfo, data: st.DataObject) -> None:
    """Strangers' bytes never raise anything but `NarInfoError`."""
    raw = bytearray(info.render().encode())
    at = data.draw(st.integers(0, len(raw)))
    raw[at : at + data.draw(st.integers(0, 30))] = data.draw(
        st.binary(max_size=3) | st.sampled_from([b"\n", b": ", b"\nNarSize: 1\n", b"\r\n", b"\xff"])
    )
    try:
        parsed = NarInfo.parse(bytes(raw))
    except NarInfoError:
        return

    assert parsed == NarInfo.parse(parsed.render())


@pytest.mark.parametrize("name", ["StorePath", "URL", "NarHash", "NarSize", "References", "Deriver", "Compression"])
def test_a_field_that_appears_twice_is_refused(name: str) -> None:
    """Which of the two another reader believes, nobody knows."""
    line = next(line for line in TEXT.splitlines() if line.startswith(f"{name}:"))

    with pytest.raises(NarInfoError, match=f"second {name}") as caught:
        NarInfo.parse(f"{TEXT}{line}\n")
    assert caught.value.place == "line 12"


@pytest.mark.parametrize("name", ["StorePath", "URL", "NarHash", "NarSize"])
def test_a_missing_field_is_named(name: str) -> None:
    """Without it there is nothing to verify or to fetch."""
    lines = [line for line in TEXT.splitlines(keepends=True) if not line.startswith(f"{name}:")]

    with pytest.raises(NarInfoError, match=f"has no {name}"):
        NarInfo.parse("".join(lines))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("/nix/store/7zpp", "/gnu/store/7zpp", "StorePath"),
        ("NarSize: 120", "NarSize: 0", "zero"),
        ("NarSize: 120", "NarSize: -1", "NarSize"),
        ("NarSize: 120", "NarSize: 1e3", "NarSize"),
        ("NarSize: 120", "NarSize: ١٢", "NarSize"),
        ("NarSize: 120", "NarSize: 1" + "0" * 5000, "NarSize"),
        ("NarHash: sha256:1", "NarHash: sha256:z", "NarHash"),
        ("NarHash: sha256:", "NarHash: md5:", "NarHash"),
        ("NarHash: sha256:193", "NarHash: ", "NarHash"),
        ("References: 0", "References: /nix/store/0", "References"),
        ("References: 00000000000000000000000000000000-dep", "References: 7zppdzywqpblqpqkznafbink14zmsrr7-x", "twice"),
        ("Deriver: 1", "Deriver: ../1", "Deriver"),
        ("URL: ", "URL ", "expected 'Name: value'"),
        ("URL: nar", "URL: nar\0", "expected 'Name: value'"),
        ("URL: nar", "URL: nar\r\nX: ", "expected 'Name: value'"),
        ("BBBB\n", "BBBB", "cut off"),
        ("\nSig", "\n\nSig", "expected 'Name: value'"),
    ],
)
def test_a_damaged_field_is_named(old: str, new: str, said: str) -> None:
    """With the line where it stands."""
    assert old in TEXT
    with pytest.raises(NarInfoError, match=said):
        NarInfo.parse(TEXT.replace(old, new, 1))


def test_a_narinfo_of_a_sha512_is_refused() -> None:
    """Stores know paths by SHA-256 alone."""
    text = TEXT.replace(Hash.parse("sha256:193s6bfb4ncbr0d3rpb177cac43b2z2h3afxi7grcswgci346hwg").nix32, "{}")

    with pytest.raises(NarInfoError, match="only sha256"):
        NarInfo.parse(text.format(Hash.of("sha256", b"").nix32, Hash.of("sha512", b"").nix32))


def test_unknown_fields_are_ignored_and_not_passed_on() -> None:
    """Later versions may add some, even more than once; they are covered by no signature."""
    assert NarInfo.parse(TEXT) == NarInfo.parse(f"{TEXT}New: 1\nNew: 2\nSystem: x86_64-linux\n")


def test_absent_and_unknown_derivers_are_the_same() -> None:
    """Old caches wrote a word for it."""
    text = TEXT.replace("11111111111111111111111111111111-x.drv", "unknown-deriver")

    assert NarInfo.parse(text).deriver is None
    assert "Deriver" not in NarInfo.parse(text).render()


def test_more_than_is_reasonable_is_refused() -> None:
    """A signature costs a public-key operation, a line a list entry."""
    with pytest.raises(NarInfoLimitError, match="signatures"):
        NarInfo.parse(TEXT + "Sig: a:b\n" * MAX_SIGNATURES)
    with pytest.raises(NarInfoLimitError, match="bytes"):
        NarInfo.parse(TEXT + "X: y\n" * (MAX_SIZE // 5))


def test_a_value_cannot_smuggle_in_a_line() -> None:
    """What is rendered says what the value says, and no more."""
    info = NarInfo.parse(TEXT)
    evil = "x\nSig: evil-1:AAAA"

    for smuggler in (
        replace(info, url=evil),
        replace(info, compression=evil),
        replace(info, deriver=evil),
        replace(info, ca=evil),
        replace(info, signatures=(evil,)),
    ):
        with pytest.raises(NarInfoError, match="cannot be printed"):
            smuggler.render()


class TestSignatures:
    """What is signed, and what is not."""

    def test_a_signed_narinfo_has_its_signer(self) -> None:
        """Signing again changes nothing."""
        info = NarInfo.parse(TEXT).sign(KEY)

        assert {KEY.public.data} == info.signers(Keyring([KEY.public]))
        assert info == info.sign(KEY)
        assert not NarInfo.parse(TEXT).signers(Keyring([KEY.public]))

    def test_what_signatures_do_not_cover_may_be_forged(self) -> None:
        """Deriver, content address, URL, file hash, file size and compression prove nothing (P7)."""
        info = NarInfo.parse(TEXT).sign(KEY)
        forged = replace(
            info,
            deriver="/nix/store/22222222222222222222222222222222-other.drv",
            ca="fixed:r:sha256:193s6bfb4ncbr0d3rpb177cac43b2z2h3afxi7grcswgci346hwg",
            url="elsewhere",
            compression="none",
            file_hash=None,
            file_size=1,
        )

        assert info.signers(Keyring([KEY.public])) == forged.signers(Keyring([KEY.public]))

    def test_what_signatures_cover_cannot(self) -> None:
        """Path, NAR hash, NAR size and references."""
        info = NarInfo.parse(TEXT).sign(KEY)
        for forged in (
            replace(info, store_path=info.store_path + "y"),
            replace(info, nar_hash=Hash.of("sha256", b"evil")),
            replace(info, nar_size=121),
            replace(info, references=info.references[:1]),
        ):
            assert not forged.signers(Keyring([KEY.public]))


@pytest.mark.nix
class TestAgainstNix:
    """A binary cache in files, between Nix and us."""

    @pytest.fixture(scope="class")
    def path(self, nix_store: NixStore) -> str:
        """Build something that refers to itself and to something else, and put it into a cache."""
        [path] = nix_store.build("""
          derivation {
            name = "x"; system = builtins.currentSystem; builder = "/bin/sh";
            args = [ "-c" "echo $out ${builtins.toFile "dep" "dep"} > $out" ];
          }""")
        nix_store.run("nix-store", "--generate-binary-cache-key", "theirs-1", "theirs.sec", "theirs.pub")
        cache = f"file://{nix_store.root}/cache?compression=none&secret-key={nix_store.root}/theirs.sec"
        nix_store.run("nix", "copy", "--to", cache, path)
        return path

    def file(self, nix_store: NixStore, path: str) -> Path:
        """Return the narinfo of *path* in the cache."""
        return nix_store.root / "cache" / f"{StorePath.parse(path, nix_store.store_dir).hash_part}.narinfo"

    def test_files_of_nix_read_render_and_verify(self, nix_store: NixStore, path: str) -> None:
        """Each in the cache, byte for byte."""
        keys = Keyring([PublicKey.parse((nix_store.root / "theirs.pub").read_text())])
        files = list((nix_store.root / "cache").glob("*.narinfo"))

        assert len(files) == 2
        for file in files:
            info = NarInfo.parse(file.read_bytes(), nix_store.store_dir)
            assert file.read_text() == info.render()
            assert len(info.signers(keys)) == 1
        assert path in NarInfo.parse(self.file(nix_store, path).read_bytes(), nix_store.store_dir).references

    def test_nix_verifies_what_we_signed(self, nix_store: NixStore, path: str) -> None:
        """With our public key alone, and not after the narinfo was tampered with."""
        file = self.file(nix_store, path)
        info = NarInfo.parse(file.read_bytes(), nix_store.store_dir)

        def verify(info: NarInfo) -> int:
            file.write_text(info.render())
            nix_store.run("rm", "-rf", nix_store.root / "home")  # where Nix remembers narinfos
            cache = f"file://{nix_store.root}/cache"
            trust = ("--sigs-needed", "1", "--trusted-public-keys", KEY.public.render())
            return nix_store.attempt("nix", "store", "verify", "--store", cache, *trust, path).returncode

        ours = replace(info, signatures=()).sign(KEY)
        assert verify(ours) == 0
        assert verify(info) != 0
        assert verify(replace(ours, references=ours.references[:1])) != 0
        assert verify(replace(info, signatures=())) != 0
