"""YAML as workflows have it: what is read, with its line, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ec_closure.errors import EcError
from ec_release.authority import yaml_nodes
from ec_release.authority.errors import YamlError, YamlLimitError
from ec_release.authority.yaml_nodes import Mapping, Node, Scalar, Sequence


def plain(node: Node) -> Any:
    """Return a node as lists, dictionaries and texts."""
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key: plain(item) for key, item in node.items.items()}


def read(text: str) -> Node:
    """Read a document."""
    return yaml_nodes.read(text.encode(), what="x.yml")


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t"), max_size=20)
trees = st.recursive(
    texts, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=20
)


@given(trees, st.booleans())
def test_what_was_written_is_read(tree: Any, flow: bool) -> None:  # noqa: FBT001 - drawn
    """Every tree of texts comes back, in block and in flow style; the two are one document."""
    written = yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True, sort_keys=False)

    if "<<" in str(tree):
        return
    assert plain(read(written)) == tree


@given(st.binary(max_size=300) | st.text("{}[]&*!:-|>'\"#%@ \na<", max_size=300).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """With an error of ours, which names the file, and nothing else."""
    told = "x.yml"
    try:
        yaml_nodes.read(data, what="x.yml")
    except EcError as error:
        told = str(error)
    assert told.startswith("x.yml")
    assert "\n" not in told


def test_lines_are_those_of_the_file() -> None:
    """Of keys, of values, and of scripts over several lines."""
    node = read("on: push\njobs:\n  a:\n    steps:\n      - run: |\n          one\n          two\n      - uses: x\n")
    assert isinstance(node, Mapping)
    job = node.mapping("jobs").mapping("a")
    assert (node.lines["jobs"], node.mapping("jobs").lines["a"]) == (2, 3)
    first, second = job.sequence("steps")
    assert isinstance(first, Mapping)
    assert isinstance(second, Mapping)
    assert first.get("run") == Scalar("one\ntwo\n", 5, block=True)
    assert second.lines["uses"] == 8


def test_words_stay_words() -> None:
    """`on` is a key and `true` a text: YAML 1.1 would make truth values of both."""
    assert plain(read("on: true\nyes: 1.10\nno: ~\n")) == {"on": "true", "yes": "1.10", "no": "~"}


def test_aliases_and_merges_are_followed() -> None:
    """An anchor's node stands wherever it is called; what is written beside a merge comes first."""
    text = "a: &a\n  x: 1\n  y: 2\nb: *a\nc:\n  <<: *a\n  x: 3\nd:\n  <<: [{y: 4}, *a]\n"

    assert plain(read(text)) == {
        "a": {"x": "1", "y": "2"},
        "b": {"x": "1", "y": "2"},
        "c": {"x": "3", "y": "2"},
        "d": {"y": "4", "x": "1"},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "x.yml:3: the key a stands twice"),
        ("a: !!python/object/apply:os.system ['true']\n", "x.yml:1: the tag tag:yaml.org,2002:python/object/apply"),
        ("a: !secret x\n", "x.yml:1: the tag !secret is not accepted"),
        ("[a, b]: c\n", "x.yml:1: a key is no plain text"),
        ("{a: b}: c\n", "x.yml:1: a key is no plain text"),
        ("a: 1\n---\nb: 2\n", "x.yml:2: a second document begins"),
        ("a: *b\n", "x.yml:1: "),
        ("a: [\n", "x.yml:"),
        ("a: 'x\n", "x.yml:"),
        ("\ta: 1\n", "x.yml:1: "),
        ("", "x.yml: is empty"),
        ("# nothing\n", "x.yml: is empty"),
        ("<<: text\n", "x.yml:1: what is merged is no mapping"),
    ],
)
def test_what_no_runner_should_take_is_refused(text: str, message: str) -> None:
    """With the line, and what is wrong there."""
    with pytest.raises(YamlError) as caught:
        read(text)
    assert str(caught.value).startswith(message)


def test_bytes_that_are_no_text_are_refused() -> None:
    """UTF-8 is what forges read."""
    with pytest.raises(YamlError, match="is not UTF-8"):
        yaml_nodes.read(b"a: \xff\n", what="x.yml")


def test_a_billion_laughs_are_not_heard() -> None:
    """Nine lines that stand for a billion words end after as many nodes as are accepted."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]

    with pytest.raises(YamlLimitError, match="nodes once aliases are followed"):
        read("\n".join(lines))


def test_too_many_aliases_are_refused() -> None:
    """Also when each of them is small."""
    with pytest.raises(YamlLimitError, match="more than 1000 aliases"):
        read("a: &a x\nb: [" + ", ".join(["*a"] * 1001) + "]\n")


@pytest.mark.parametrize("depth", [65, 20_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}"), ("- ", "")])
def test_deep_nesting_is_refused(depth: int, opening: str, closing: str) -> None:
    """At a depth that is known, before any stack ends."""
    with pytest.raises(YamlLimitError, match="nested deeper than 64"):
        read(opening * depth + "x" + closing * depth)


def test_a_large_file_is_refused() -> None:
    """Before it is parsed."""
    with pytest.raises(YamlLimitError, match="bytes that are accepted"):
        read("#" * (yaml_nodes.MAX_BYTES + 1))


def test_an_anchor_cannot_hold_itself() -> None:
    """A node is named when it is whole: a circle has no beginning."""
    with pytest.raises(YamlError, match="nothing before it is called &a"):
        read("a: &a [*a]\n")
