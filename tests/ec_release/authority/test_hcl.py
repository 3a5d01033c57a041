"""OpenTofu's files: attributes by their blocks, texts, lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure.errors import EcError
from ec_release.authority import hcl
from ec_release.authority.errors import HclError

TEXT = """\
# a comment
variable "image" {
  type = string
  validation {
    condition = can(regex(
      "@sha256:[0-9a-f]{64}$",
      var.image
    ))
  }
}
module "x" {
  source = "../x"
  image  = var.image
  name   = "a-${var.y}"
  plain  = "b"
  list   = ["ghcr.io/a/b", { c = "d" }]
  text   = <<EOT
ghcr.io/e/f
EOT
}
top = "level\""""


def test_attributes_have_blocks_lines_and_values() -> None:
    """A literal is a text without interpolation; a value keeps its source on one line."""
    found = {(one.blocks, one.name): one for one in hcl.read(TEXT.encode(), what="x.tf").attributes}

    condition = found[("variable image", "validation"), "condition"]
    assert (condition.line, condition.value) == (5, 'can(regex( "@sha256:[0-9a-f]{64}$", var.image ))')
    assert found[("module x",), "image"].value == "var.image"
    assert found[("module x",), "image"].literal is None
    assert (found[("module x",), "name"].literal, found[("module x",), "plain"].literal) == (None, "b")
    assert (found[(), "top"].line, found[(), "top"].literal) == (21, "level")


def test_texts_and_headings_have_lines() -> None:
    """Every text, also one in a list, an object, or a here document."""
    found = hcl.read(TEXT.encode(), what="x.tf")

    assert ("ghcr.io/a/b", 16) in [(one.text, one.line) for one in found.texts]
    assert ("d", 16) in [(one.text, one.line) for one in found.texts]
    assert [one.line for one in found.texts if "ghcr.io/e/f" in one.text] == [17]
    assert found.headings == (("variable image", 2), ("module x", 11))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'a = "b\n', "x.tf:"),
        (b"a = [\n", "x.tf"),
        (b"a {\n", "x.tf"),
        (b"\xff = 1\n", "x.tf: is not UTF-8"),
        (b"a = " + b"[" * 101 + b"]" * 101 + b"\n", "x.tf: nested deeper than 100"),
        (b"#" * (hcl.MAX_BYTES + 1), "x.tf: more than"),
    ],
)
def test_what_is_no_hcl_is_refused(data: bytes, message: str) -> None:
    """With the file, and the line where there is one."""
    with pytest.raises(HclError) as caught:
        hcl.read(data, what="x.tf")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@given(st.text('ab={}[]"$\n#<. ', max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """With an error of ours, and nothing else."""
    told = "x.tf"
    try:
        hcl.read(text.encode(), what="x.tf")
    except EcError as error:
        told = str(error)
    assert told.startswith("x.tf")
