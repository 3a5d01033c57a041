"""`ec-release trust key`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - cyclopts reads annotations at run time
from typing import Annotated

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cyclopts import Parameter

from ec_release.output import emit
from ec_release.trust.keys import generate


def key(
    path: Annotated[Path, Parameter(help="The file to write, NAME.pem; NAME.pub goes beside it.")],
    *,
    json: Annotated[bool, Parameter(help="Print the result as JSON.", negative=())] = False,
) -> None:
    """Make a key pair of your own, on your own machine. The public half goes to `trust rotate root --add`."""
    signer = generate(path)
    public = path.with_suffix(".pub")
    public.write_bytes(
        load_pem_private_key(signer.private_bytes, None)
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    emit({"private": path, "public": public, "key": signer.public_key.keyid}, as_json=json)
