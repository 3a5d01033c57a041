"""`ec-release sbom`: the bill of materials of each system of a release."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - cyclopts reads annotations at run time
from typing import Annotated

from cyclopts import Parameter


def sbom(
    *closure: Annotated[Path, Parameter(help="A manifest, <system>.closure.json.zst, or a directory of them.")],
    out: Annotated[Path, Parameter(help="The directory to write <system>.cdx.json to.")],
    json: Annotated[bool, Parameter(help="Print the result as JSON.", negative=())] = False,
) -> None:
    """Write a CycloneDX 1.6 bill of materials for each manifest: one component per store path.

    It says what the manifest says and nothing more. Run again, it writes the same bytes. Publish it with --assets.
    """
    from importlib.metadata import version

    from ec_closure import canonical
    from ec_closure.errors import UsageError
    from ec_release.attesting import cyclonedx, file
    from ec_release.attesting import sbom as bill
    from ec_release.commands.paths import expanded
    from ec_release.output import emit

    if not closure:
        raise UsageError("no manifest is named", hint="ec-release sbom runner.closure.json.zst --out dist")
    written: list[dict[str, object]] = []
    for path in expanded(closure):
        described = file.read_manifest(path)
        name = path.name.removesuffix(file.MANIFEST_SUFFIX) + cyclonedx.SUFFIX
        if name in {entry["name"] for entry in written}:
            raise UsageError(f"a second manifest would become {name}", place=str(path))
        made = bill.make(described, tool_version=version("ec-release"))
        data = cyclonedx.encode(made)
        file.write(out / name, data)
        written.append(
            {
                "name": name,
                "system": described.system.out_path,
                "components": 1 + len(made.components),
                "serial_number": made.serial_number,
                "sha256": canonical.digest(data),
            }
        )
    emit({"directory": out, "sboms": written}, as_json=json)
