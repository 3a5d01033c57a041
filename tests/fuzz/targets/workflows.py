"""What the gate of release authority reads: a stranger's workflows, OpenTofu's files, the declaration."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.ec_release.authority.world import DECLARATION, PATH, job, workflow
from tests.fuzz.mutate import twist_pieces
from tests.fuzz.target import Target, hold

from ec_closure.errors import BadInputError
from ec_release.authority import declaration, hcl
from ec_release.authority.deeds import deeds_of
from ec_release.authority.errors import DeclarationError
from ec_release.authority.sources import Files
from ec_release.authority.walk import Walk

if TYPE_CHECKING:
    from random import Random

_FILE = ".github/workflows/x.yml"
_ACTION = ".github/actions/x/action.yml"
_LISTS = b"\n".join(b"a%d: &a%d [%s]" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 9))
_PIECES = (
    b"${{", b"}}", b"&a", b"*a", b"<<: *a", b"[", b"{", b"- ", b": ", b"|", b">-", b"!!python/object", b"'", b'"', b"$(", b"`", b"<<EOF",
    b"\n", b"  ", b"\t", b"(" * 50, b"[" * 70, b"fromJSON('", b"matrix", b"uses: ./.github/actions/x", b"uses: ./.github/workflows/x.yml",
    b"a0: &a0 x\n" + _LISTS, b"---", b"needs: job", b"\xff", b"\0", b"$" * 99, b"bash -c '", b"xargs ", b"nix run ",
)  # fmt: skip
_TOFU = (
    b'variable "image" {\n  validation {\n    condition = can(regex("@sha256:", var.image))\n  }\n}\n'
    b'module "x" {\n  source = "../x"\n  image = var.image\n  a = ["b", { c = "d-${e}" }]\n  f = <<EOT\ng\nEOT\n}\n'
)
_TOFU_PIECES = (
    b"{",
    b"}",
    b"[",
    b"<<EOT",
    b"${",
    b"%{",
    b'"',
    b"\n",
    b"=",
    b"(" * 99,
    b"#",
    b"/*",
    b"\\",
    b"\xff",
    b"a.b[*].c",
)


def _make_workflow(random: Random) -> bytes:
    extra = random.choice(
        ("", "strategy:\n  matrix:\n    a: [b, c]\n    include: [{d: e}]\n", "env:\n  A: ${{ github.sha }}\n")
    )
    return workflow(job(PATH, extra=extra)).encode()


def _twist(random: Random, data: bytes) -> bytes:
    return b"".join(twist_pieces(random, re.findall(rb"\w+|\s+|.", data, re.DOTALL), _PIECES))


def _read_workflow(data: bytes) -> None:
    files = Files({_FILE: data, _ACTION: b"runs:\n  using: composite\n  steps:\n    - uses: ./.github/actions/x\n"})
    (run,) = Walk(files, "a/b").workflows()
    lines = data.count(b"\n") + 2
    for deed in deeds_of(run, files):
        hold(deed.place.file in (_FILE, _ACTION), "a deed of a file that is not there")
        hold(deed.place.file != _FILE or 1 <= deed.place.line <= lines, "a deed behind the end of its file")
    hold(all(trouble.place.line >= 1 for trouble in run.troubles), "a trouble before the first line")


def _read_tofu(data: bytes) -> None:
    found = hcl.read(data, what="x.tf")
    hold(all(one.line >= 1 for one in (*found.attributes, *found.texts)), "a text before the first line")


def _twist_tofu(random: Random, data: bytes) -> bytes:
    return b"".join(twist_pieces(random, re.findall(rb"\w+|\s+|.", data, re.DOTALL), _TOFU_PIECES))


def _read_declaration(data: bytes) -> None:
    found = declaration.decode(data)
    hold(found.surface_named(found.dashboard.authority).role == "authoritative", "an authority that has none")


WORKFLOWS = (
    Target("workflow", _read_workflow, _make_workflow, _twist, (BadInputError,), _PIECES),
    Target("tofu", _read_tofu, lambda _random: _TOFU, _twist_tofu, (BadInputError,), _TOFU_PIECES),
    Target("release-authority", _read_declaration, lambda _random: DECLARATION.encode(), _twist, (DeclarationError,)),
)
