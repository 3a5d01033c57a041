from __future__ import annotations

import hashlib
import tracemalloc
from typing import TYPE_CHECKING

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ec_closure import canonical
from ec_closure.canonical import CompressionError, NotCanonicalError
from ec_closure.errors import BadInputError, LimitError
from ec_closure.record import Record

if TYPE_CHECKING:
    import random

MANY = 100_000
NOISE = hashlib.sha512(b"does not compress").digest()


class Part(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A document to spell."""

    name: str
    more: dict[str, int] = {}
    parts: tuple[Part, ...] = ()


WHOLE = b'{"more":{"a":1,"b":2},"name":"x","parts":[{"name":"y"}]}\n'


def decode(data: bytes, max_bytes: int = 1 << 20) -> Part:
    """Decode a part."""
    return canonical.decode(data, Part, what="doc", max_bytes=max_bytes)


class TestSpelling:
    """One document, one spelling."""

    def test_reads_what_it_writes(self) -> None:
        """Sorted keys, no white space, defaults left out, one newline at the end."""
        document = Part(name="x", more={"b": 2, "a": 1}, parts=(Part(name="y"),))

        assert canonical.encode(document) == WHOLE
        assert decode(WHOLE) == document

    @given(st.dictionaries(st.text(), st.integers(-(2**63), 2**63 - 1)), st.text(), st.randoms())
    def test_the_same_document_has_the_same_bytes(self, more: dict[str, int], name: str, rng: random.Random) -> None:
        """Whatever the order in which it was put together, and it reads back."""
        items = list(more.items())
        rng.shuffle(items)
        data = canonical.encode(Part(name=name, more=more))

        assert data == canonical.encode(Part(name=name, more=dict(items)))
        assert decode(data) == Part(name=name, more=more)

    @pytest.mark.parametrize(
        ("spelling", "place"),
        [
            (WHOLE.rstrip(b"\n"), 56),
            (WHOLE + b"\n", 57),
            (b" " + WHOLE, 0),
            (WHOLE.replace(b":", b": "), 8),
            (WHOLE.replace(b"\n", b"\r\n"), 56),
            (WHOLE.replace(b'{"a":1,"b":2}', b'{"b":2,"a":1}'), 10),
            (WHOLE.replace(b'{"a":1,"b":2}', b'{"a":0,"a":1,"b":2}'), 13),
            (WHOLE.replace(b'"name":"x"', b'"name":"w","name":"x"'), 30),
            (WHOLE.replace(b'"x"', rb'"\u0078"'), 30),
            (WHOLE.replace(b'{"name":"y"}', b'{"name":"y","parts":[]}'), 53),
            (WHOLE.replace(b'{"name":"y"}', b'{"more":{},"name":"y"}'), 44),
        ],
        ids=[
            "no newline",
            "two newlines",
            "blank before",
            "blanks inside",
            "carriage return",
            "key order",
            "duplicate key",
            "duplicate field",
            "escape",
            "spelled-out default",
            "spelled-out empty default",
        ],
    )
    def test_another_spelling_is_refused(self, spelling: bytes, place: int) -> None:
        """With the first byte that would have been another."""
        assert msgspec.json.decode(spelling, type=Part).name == "x"
        with pytest.raises(NotCanonicalError) as caught:
            decode(spelling)

        assert caught.value.place == f"doc: byte {place}"

    def test_a_digest_is_that_of_the_bytes(self) -> None:
        """SHA-256 in hexadecimal, as sha256sum prints it."""
        assert canonical.digest(b"abc") == hashlib.sha256(b"abc").hexdigest()


class TestStrangers:
    """Documents that are none."""

    @pytest.mark.parametrize(
        ("data", "place", "message"),
        [
            (b"", "doc", "truncated"),
            (b"{", "doc", "truncated"),
            (b"[]\n", "doc", "Expected `object`, got `array`"),
            (b"{}\n", "doc", "missing required field `name`"),
            (b'{"name":1}\n', "doc: name", "Expected `str`"),
            (b'{"name":"\xff"}\n', "doc", "can't decode byte 0xff"),
            (b'\xef\xbb\xbf{"name":"x"}\n', "doc", "malformed"),
            (b'{"name":"x"}{}\n', "doc", "trailing"),
            (b'{"name":"x","parts":[{"name":"y"},{"name":"z","other":1}]}\n', "doc: parts[1]", "field `other`"),
            (b'{"more":{"a":"b"},"name":"x"}\n', "doc: more[...]", "Expected `int`"),
        ],
    )
    def test_what_does_not_decode_is_named_with_its_place(self, data: bytes, place: str, message: str) -> None:
        """The place inside the document stands in `place`, and the message says what was expected."""
        with pytest.raises(BadInputError) as caught:
            decode(data)

        assert caught.value.place == place
        assert message in caught.value.message

    @pytest.mark.parametrize("name", ["line\nbreak", "\x1b[31mred", "\u202eright to left", "long" * 10_000])
    def test_names_that_strangers_chose_stay_on_one_short_line(self, name: str) -> None:
        """Messages quote unknown fields: no line breaks, no escape sequences, no screenfuls."""
        with pytest.raises(BadInputError) as caught:
            decode(msgspec.json.encode({"name": "x", name: 1}))

        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 300

    @pytest.mark.parametrize(
        "data",
        [
            b"[" * MANY,
            b'{"a":' * MANY,
            b'{"name":' + b"[" * MANY,
            b'{"parts":' + b"[" * MANY,
            b'{"more":' + b'{"a":' * MANY,
            b'{"parts":[' * MANY,
        ],
    )
    def test_deep_documents_are_refused(self, data: bytes) -> None:
        """A hundred thousand levels are an error with a name, where the types do not end before."""
        with pytest.raises(BadInputError):
            decode(data)

    def test_large_documents_are_refused_unread(self) -> None:
        """By their size alone, whatever is in them."""
        assert decode(WHOLE, max_bytes=len(WHOLE)).name == "x"
        with pytest.raises(LimitError, match=f"doc: {len(WHOLE)} bytes"):
            decode(WHOLE, max_bytes=len(WHOLE) - 1)


def frame(data: bytes, *, size: bool = True) -> bytes:
    """Compress as someone else would."""
    return zstandard.ZstdCompressor(write_content_size=size).compress(data)


def decompress(data: bytes, max_bytes: int = 1 << 20) -> bytes:
    """Decompress."""
    return canonical.decompress(data, what="doc", max_bytes=max_bytes)


class TestCompression:
    """One frame that states its size, and nothing else."""

    @given(st.binary(min_size=1, max_size=5000))
    def test_what_was_compressed_comes_back(self, data: bytes) -> None:
        """And compressing again gives the same bytes."""
        packed = canonical.compress(data)

        assert decompress(packed, len(data)) == data
        assert canonical.compress(data) == packed

    def test_a_frame_may_be_cut_nowhere(self) -> None:
        """Every prefix is refused."""
        packed = canonical.compress(NOISE + bytes(400) + NOISE)
        for length in range(len(packed)):
            with pytest.raises(CompressionError):
                decompress(packed[:length])

    def test_no_flipped_bit_changes_what_is_read(self) -> None:
        """A frame is refused or means what it meant: its checksum is looked at."""
        data = NOISE + bytes(100)
        packed = canonical.compress(data)
        refused = 0
        for position in range(len(packed) * 8):
            changed = bytearray(packed)
            changed[position // 8] ^= 1 << position % 8
            try:
                assert decompress(bytes(changed)) == data
            except BadInputError:
                refused += 1

        assert refused > len(packed) * 7

    @pytest.mark.parametrize(
        "after", [b"\0", b"x" * 10_000, canonical.compress(b"more"), b"\x50\x2a\x4d\x18\x01\0\0\0x"], ids=len
    )
    def test_nothing_may_follow(self, after: bytes) -> None:
        """Neither bytes, nor another frame, nor one that decoders skip."""
        with pytest.raises(CompressionError, match="unused data"):
            decompress(canonical.compress(b"data") + after)

    @pytest.mark.parametrize(
        "data",
        [b"", b"text", frame(b""), frame(b"") + b"more", frame(b"data", size=False), b"\x50\x2a\x4d\x18\x01\0\0\0x"],
        ids=["nothing", "no frame", "empty", "empty, then more", "no size", "skippable"],
    )
    def test_other_frames_are_refused(self, data: bytes) -> None:
        """Ours are never empty and always state their size."""
        with pytest.raises(CompressionError):
            decompress(data)

    def test_a_bomb_is_refused_before_it_is_held(self) -> None:
        """A gigabyte in some kilobytes is seen by the size that it states, and one that lies by its first excess."""
        bomb = frame(bytes(1 << 28))
        # The size field, of four bytes, follows magic and descriptor in a frame that is one segment or not.
        liar = bytearray(bomb)
        at = liar.index((1 << 28).to_bytes(4, "little"))
        liar[at : at + 4] = (1 << 18).to_bytes(4, "little")
        tracemalloc.start()
        try:
            with pytest.raises(LimitError, match="holds 268435456 bytes"):
                decompress(bomb)
            with pytest.raises(CompressionError):
                decompress(bytes(liar))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert len(bomb) < 1 << 16
        assert peak < 1 << 20
