"""Names: what Nix and registries take, and nothing that either would read as something else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_release.images import names
from ec_release.images.errors import NamingError


@pytest.mark.parametrize(
    ("registry", "namespace", "where"),
    [
        ("ghcr.io", "Owner/Repository", "ghcr.io/owner/repository/web"),
        ("127.0.0.1:5000", "a", "127.0.0.1:5000/a/web"),
        ("registry.example.org", "a/b/c", "registry.example.org/a/b/c/web"),
        ("[::1]:5000", "a", "[::1]:5000/a/web"),
    ],
)
def test_images_have_a_place(registry: str, namespace: str, where: str) -> None:
    """A forge keeps the case of owners; registries take small letters alone."""
    assert where == names.repository(registry, namespace, "web")


@pytest.mark.parametrize(
    ("registry", "namespace", "name"),
    [
        ("ghcr.io/", "a", "web"),
        ("https://ghcr.io", "a", "web"),
        ("user:secret@ghcr.io", "a", "web"),
        ("", "a", "web"),
        ("-x", "a", "web"),
        ("ghcr.io", "", "web"),
        ("ghcr.io", "/a", "web"),
        ("ghcr.io", "a//b", "web"),
        ("ghcr.io", "a/../b", "web"),
        ("ghcr.io", "a b", "web"),
        ("ghcr.io", "ä", "web"),
        ("ghcr.io", "a", "Web"),
        ("ghcr.io", "a", "web:latest"),
        ("ghcr.io", "a", "web@sha256:0"),
        ("ghcr.io", "a", "a..b"),
        ("ghcr.io", "a", "web\n"),
        ("ghcr.io", "a/" * 100 + "a", "x" * 100),
    ],
)
def test_what_no_registry_takes_is_refused(registry: str, namespace: str, name: str) -> None:
    """Before anything is sent, and with what belongs there."""
    with pytest.raises(NamingError):
        names.repository(registry, namespace, name)


@pytest.mark.parametrize(("output", "base"), [("web-image", "web"), ("a.b-image", "a.b"), ("x-image-image", "x-image")])
def test_an_image_is_called_as_its_output_without_the_suffix(output: str, base: str) -> None:
    """One suffix, once."""
    assert base == names.base(output)


@pytest.mark.parametrize(
    "output", ["-image", "image", "web", "Web-image", "--image", "we b-image", "web-image\n", "a'b-image"]
)
def test_what_is_no_image_has_no_base(output: str) -> None:
    """Or one that no registry takes."""
    with pytest.raises(NamingError):
        names.base(output)


@pytest.mark.parametrize("tag", ["git-0123abc", "latest", "pr-7", "_", "v1.2.3"])
def test_tags(tag: str) -> None:
    """What the distribution specification calls one."""
    assert tag == names.tag(tag)


@pytest.mark.parametrize("tag", ["", "-x", ".x", "feature/x", "a:b", "x" * 129, "a\n", "a b"])
def test_what_is_no_tag(tag: str) -> None:
    """Branches with a slash are the common mistake."""
    with pytest.raises(NamingError, match="is no tag"):
        names.tag(tag)


@given(st.text(max_size=40))
def test_what_stands_in_an_attribute_path_is_one_name(text: str) -> None:
    """Nothing that is accepted ends the quotes, escapes, or begins outputs or another fragment."""
    try:
        shown = names.attribute(text)
    except NamingError:
        return
    assert re.fullmatch(r"""[A-Za-z0-9_][A-Za-z0-9_'-]*|"[A-Za-z0-9_][A-Za-z0-9_'.+-]*\"""", shown)
    assert text == shown.strip('"')
