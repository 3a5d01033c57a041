from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure import strict_json
from ec_closure.errors import BadInputError, LimitError
from ec_closure.strict_json import JsonError

MANY = 100_000

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


class Document(msgspec.Struct, forbid_unknown_fields=True):
    """A document with a type."""

    name: str
    sizes: list[int] = []


def decode(data: bytes, max_depth: int = 32) -> dict[str, Any]:
    """Decode anything that is an object."""
    return strict_json.decode(data, dict[str, Any], what="doc", max_bytes=8 << 20, max_depth=max_depth)


class TestReading:
    """What is JSON is read as JSON."""

    @given(st.dictionaries(st.text(), values), st.booleans())
    def test_reads_what_json_writes(self, document: dict[str, Any], ascii_only: bool) -> None:  # noqa: FBT001 - drawn
        """Any document, escaped or not, indented or not."""
        assert decode(json.dumps(document, ensure_ascii=ascii_only, indent=ascii_only or None).encode()) == document

    @given(st.lists(st.sampled_from(['{"a":', '"', "\\", '"a"', "{", "}", "[", "]", ":", ",", "1", "\\u0061", "é"])))
    def test_never_reads_anything_else(self, tokens: list[str]) -> None:
        """Where a heap of tokens is accepted, the standard library reads the same from it."""
        data = "".join(tokens).encode()
        try:
            found = decode(data)
        except BadInputError:
            return
        assert json.loads(data) == found

    @given(st.binary(max_size=200))
    def test_any_bytes_are_read_or_refused(self, data: bytes) -> None:
        """No other exception than ours comes out."""
        try:
            place = None if isinstance(decode(data), dict) else "not an object"
        except BadInputError as error:
            place = error.place
        assert place is None or place.startswith("doc")

    def test_types_are_checked_with_their_place(self) -> None:
        """The place inside the document stands in `place`."""
        assert strict_json.decode(b'{"name":"x"}', Document, what="doc", max_bytes=99) == Document(name="x")
        for data, place in (
            (b'{"name":1}', "doc: name"),
            (b'{"name":"x","sizes":[1,"2"]}', "doc: sizes[1]"),
            (b'{"name":"x","other":1}', "doc"),
            (b"{}", "doc"),
        ):
            with pytest.raises(JsonError) as caught:
                strict_json.decode(data, Document, what="doc", max_bytes=99)
            assert caught.value.place == place


class TestDuplicates:
    """Signed documents must have one reading."""

    @pytest.mark.parametrize(
        "data",
        [
            b'{"a":1,"a":1}',
            b'{"a":1,"b":2,"a":3}',
            b'{"x":{"a":1,"a":2}}',
            b'{"x":[[{"a":1,"a":2}]]}',
            rb'{"a":1,"\u0061":2}',
            rb'{"\/":1,"/":2}',
            b'{"":1,"":2}',
        ],
    )
    def test_a_key_may_stand_once(self, data: bytes) -> None:
        """At any depth, however it is spelled."""
        with pytest.raises(JsonError, match="stands twice"):
            decode(data)

    def test_the_same_key_may_stand_in_other_objects(self) -> None:
        """Siblings and children have keys of their own."""
        assert decode(b'{"a":{"a":[{"a":1},{"a":2}]}}') == {"a": {"a": [{"a": 1}, {"a": 2}]}}

    def test_a_long_key_does_not_fill_the_screen(self) -> None:
        """The message quotes its beginning, on one line."""
        key = json.dumps("\n" * 50_000)
        with pytest.raises(JsonError) as caught:
            decode(f"{{{key}:1,{key}:2}}".encode())

        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 500


class TestLimits:
    """Size, depth and count."""

    def test_depth_is_counted(self) -> None:
        """The limit itself is accepted, one more is not, and the place is that of the bracket."""
        assert decode(b'{"a":[[1]]}', max_depth=3) == {"a": [[1]]}
        with pytest.raises(LimitError, match="doc: character 6: nested deeper than 2"):
            decode(b'{"a":[[1]]}', max_depth=2)

    def test_brackets_in_strings_do_not_count(self) -> None:
        """Nor do escaped quotes end a string."""
        assert decode(rb'{"[[[[\"[[[[\\":"]]]]{{{{"}', max_depth=1) == {'[[[["[[[[\\': "]]]]{{{{"}

    @pytest.mark.parametrize(
        "data",
        [
            b"[" * MANY,
            b'{"a":' * MANY,
            b'{"a":' + b"[" * MANY + b"]" * MANY + b"}",
            b"]" * MANY + b"[" * MANY,
            b'{"a":1}' + b"]" * MANY + b"[" * MANY,
        ],
    )
    def test_deep_documents_are_refused(self, data: bytes) -> None:
        """A hundred thousand levels exhaust no stack."""
        with pytest.raises(BadInputError):
            decode(data)

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
    def test_only_utf_8_is_json_here(self, encoding: str) -> None:
        """Another encoding would be read otherwise by whoever guesses it."""
        assert decode(b'{"a":"b"}') == {"a": "b"}
        with pytest.raises(JsonError):
            decode('{"a":"b"}'.encode(encoding))

    def test_another_encoding_does_not_hide_depth(self) -> None:
        """The byte of a quote inside a UTF-16 letter would have made a string of all that follows."""
        with pytest.raises(BadInputError):
            decode(('{"\u2220":' + "[" * MANY).encode("utf-16-be"))

    @pytest.mark.parametrize("start", ['{"a":"', '{"a":"x" "', '"'])
    def test_a_string_that_never_ends_is_walked_once(self, start: str) -> None:
        """Each escaped quote might start a string of its own: looked at from each, this would take days."""
        with pytest.raises(JsonError):
            decode((start + '\\"' * 1_000_000).encode())

    def test_size_is_looked_at_first(self) -> None:
        """Before the document is read at all."""
        assert strict_json.decode(b"{}", dict[str, Any], what="doc", max_bytes=2) == {}
        with pytest.raises(LimitError, match="doc: 3 bytes where at most 2"):
            strict_json.decode(b"\xff\xff\xff", dict[str, Any], what="doc", max_bytes=2)

    @pytest.mark.parametrize("item", [b"[]", b'""', b"{}"])
    def test_small_things_are_counted(self, item: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two bytes in a file are fifty in memory. The object, its key and its list are three."""
        data = b'{"a":[' + item + b"," + item + b"]}"
        monkeypatch.setattr(strict_json, "MAX_TOKENS", 5)
        assert len(decode(data)["a"]) == 2
        monkeypatch.setattr(strict_json, "MAX_TOKENS", 4)
        with pytest.raises(LimitError, match="doc: more than 4 strings, lists and objects"):
            decode(data)

    @pytest.mark.parametrize(
        "data",
        [
            b'{"a":NaN}',
            b'{"a":Infinity}',
            b'{"a":-Infinity}',
            b'{"a":01}',
            b'{"a":"\t"}',
            b'{"a":"\xff"}',
            rb'{"a":"\ud800"}',
            b'{"a":1,}',
            b'{"a":1} x',
            b"{'a':1}",
            b'{"a":' + b"1" * 5000 + b"}",
            b"",
            b"\0",
        ],
    )
    def test_what_is_not_json_is_refused(self, data: bytes) -> None:
        """Also where one common parser or another is lenient."""
        with pytest.raises(JsonError):
            decode(data)
