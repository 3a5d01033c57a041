"""The kernel's command line: read as the kernel reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_provision import command_line
from ec_provision.command_line import Address
from ec_provision.errors import CommandLineError

PIN = "a" * 64
URL = "https://boot.example.org/node.toml"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"", {}),
        (b"quiet a=1 a=2\n", {"quiet": "", "a": "2"}),
        (b'a="b c" d', {"a": "b c", "d": ""}),
        (b'"a=b c" d', {"a": "b c", "d": ""}),
        (b'a=b" c"d e', {"a": 'b" c"d', "e": ""}),
        (b'a="b c', {"a": "b c"}),
        (b'a=""', {"a": ""}),
        (b'a=b"', {"a": 'b"'}),
        (b"a==b", {"a": "=b"}),
        (b"=a=b", {"=a": "b"}),
        (b'"a b"', {"a b": ""}),
        (b"a\t\xa0b\x0bc", {"a": "", "b": "", "c": ""}),
        (b"a=1 -- a=2 b", {"a": "1"}),
        (b'a=1 "--" a=2', {"a": "1"}),
        (b"a=1 --=x a=2", {"a": "2", "--": "x"}),
        (b"a=\xff", {"a": "\xff"}),
    ],
)
def test_words_are_those_that_the_kernel_sees(line: bytes, found: dict[str, str]) -> None:
    """Compared with its own function on two hundred thousand lines when this was written."""
    assert found == command_line.parse(line)


@given(st.binary(max_size=60))
def test_no_line_stops_the_boot(line: bytes) -> None:
    """Whatever a boot server sends."""
    assert all(isinstance(value, str) for value in command_line.parse(line).values())


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("quiet", None),
        ("ec.node=", None),
        (f"ec.node={URL} ec.node=", None),
        (f"ec.node.sha256={PIN}", None),
        (f"ec.node={URL}", Address(URL)),
        (f"ec.node=https://other.example/ ec.node={URL}", Address(URL)),
        (f'ec.node="{URL}?mac=00-11"', Address(f"{URL}?mac=00-11")),
        (f"ec.node={URL} ec.node.sha256={PIN.upper()}", Address(URL, PIN)),
        (f"ec.node=http://10.0.0.1/x ec.node.sha256={PIN}", Address("http://10.0.0.1/x", PIN)),
        (f"quiet -- ec.node={URL}", None),
        (f"xec.node={URL} ec.nodes={URL}", None),
    ],
)
def test_an_address_is_found(line: str, address: Address | None) -> None:
    """The last one counts, and an empty one is none."""
    assert address == command_line.address_of(line.encode())


@pytest.mark.parametrize(
    "line",
    [
        "ec.node=yes",
        "ec.node=https://",
        "ec.node=https:///path",
        "ec.node=ftp://a.example/",
        "ec.node=file:///etc/shadow",
        "ec.node=https://a.example/#x",
        "ec.node=https://u:p@a.example/",
        "ec.node=https://a.example:port/",
        "ec.node=https://[::1/",
        'ec.node="https://a.example/ b"',
        "ec.node=https://ä.example/",
        f"ec.node=https://a.example/{'a' * 2048}",
        f"ec.node={URL} ec.node.sha256=abc",
        f"ec.node={URL} ec.node.sha256={PIN}a",
    ],
)
def test_what_is_no_usable_address_is_refused(line: str) -> None:
    """Rather than taken for none, which would give the node defaults."""
    with pytest.raises(CommandLineError) as caught:
        command_line.address_of(line.encode())

    assert "kernel command line" == caught.value.place


def test_plain_http_needs_a_digest() -> None:
    """Anybody on the way could write root's keys; the hint says what to do."""
    for line in (b"ec.node=http://a.example/", b"ec.node=http://127.0.0.1/", b"ec.node=HTTP://a.example/"):
        with pytest.raises(CommandLineError, match=r"is http:// without ec\.node\.sha256") as caught:
            command_line.address_of(line)
        assert "sha256sum" in str(caught.value.hint)


def test_a_query_is_not_shown() -> None:
    """It may tell more than a log should."""
    assert URL == Address(f"{URL}?secret").shown
