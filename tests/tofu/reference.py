"""`python -m tests.tofu.reference`: writes what in `tofu/` follows from something else.

    tofu/modules/runner-dashboard/settings.tf     from the keys of dashboard.toml that the application has
    tofu/modules/runner-dashboard/alerts.yaml     from the application's alert rules
    tofu/stacks/runner-dashboard/{main,variables}.tf    from the module's variables
    the tables of the READMEs                     from variables and outputs

Nothing is read from a network, and no Terraform is needed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hcl2
import msgspec

from runner_dashboard.config import Config
from runner_dashboard.ops.monitoring import alerts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2] / "tofu"
MODULE = Path("modules/runner-dashboard")
STACK = Path("stacks/runner-dashboard")

# Set by the module, each for its reason: where it listens, where data lie, what it is called.
OWN = {"server.host", "server.port", "server.public_url", "database.file"}
# Given by a file of `secret_files`: a configuration map is no place for a secret.
BY_FILE = {"database.url"}
BLOCK = re.compile(r'^variable "(?P<name>\w+)" \{\n.*?^\}\n', re.MULTILINE | re.DOTALL)
VALIDATION = re.compile(r"\n  validation \{\n.*?^  \}\n", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"(?P<before><!-- (?P<kind>variables|outputs) -->\n).*?(?P<after><!-- end -->)", re.DOTALL)
KEY = re.compile(r"^( +)(\w+)\s*=\s*(?:optional\()?(?:string|number|bool|list|map|object)", re.MULTILINE)

SETTINGS = """\
# Written by `python -m tests.tofu.reference` from the application's configuration.

variable "settings" {{
  description = "Keys of dashboard.toml, as docs/dashboard.md lists them; what is not given keeps its default. \
What names a file is in `secret_files`; host, port, address, state directory and database are this \
module's to set."
  type = object({{
{tables}
  }})
  default  = {{}}
  nullable = false
}}

locals {{
  # What names a file.
  secret_keys = [
{secrets}
  ]
}}
"""
CLUSTER = """\
# Written by `python -m tests.tofu.reference`: the module's variables, which it also judges.

variable "kubeconfig" {
  description = "Path of the kubeconfig file. Without it, the provider looks at its own variables \
(`KUBE_CONFIG_PATH`, `KUBE_HOST`, `KUBE_TOKEN` …)."
  type        = string
  default     = null
}

variable "kubeconfig_context" {
  description = "Context in that file; its current one when not given."
  type        = string
  default     = null
}
"""


def configured() -> Iterator[tuple[str, str, str]]:
    """Yield table, key and Terraform's type of every key of dashboard.toml that is in a table."""
    document = msgspec.inspect.type_info(Config)
    if not isinstance(document, msgspec.inspect.StructType):
        raise TypeError(document)
    for table in document.fields:
        if isinstance(table.type, msgspec.inspect.StructType):
            for field in table.type.fields:
                yield table.name, field.name, kind(field.type)


def kind(found: msgspec.inspect.Type) -> str:
    """Return what Terraform calls a type of the configuration. Raises `TypeError` where it has no word."""
    match found:
        case msgspec.inspect.BoolType():
            return "bool"
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            return "number"
        case msgspec.inspect.StrType() | msgspec.inspect.LiteralType():
            return "string"
        case msgspec.inspect.VarTupleType(item_type=item) | msgspec.inspect.ListType(item_type=item):
            return f"list({kind(item)})"
        case _:
            raise TypeError(f"{found} has no type in Terraform: teach tests/tofu/reference.py")


def secret(key: str) -> bool:
    """Whether a key names a file, which most often holds a secret."""
    return key.endswith("_file")


def settings() -> str:
    """Return settings.tf."""
    tables: dict[str, list[str]] = {}
    secrets = []
    for table, key, type_ in configured():
        tables.setdefault(table, [])
        if secret(key):
            secrets.append(f'    "{table}.{key}",')
        elif f"{table}.{key}" not in OWN | BY_FILE:
            tables[table].append(f"{key} = optional({type_})")
    written = []
    for table, offered in tables.items():
        width = max((len(line.partition(" ")[0]) for line in offered), default=0)
        lines = [f"      {name:{width}} = {rest}" for name, _, rest in (line.partition(" = ") for line in offered)]
        written.append("\n".join([f"    {table} = optional(object({{", *lines, "    }), {})"]))
    return SETTINGS.format(tables="\n".join(written), secrets="\n".join(secrets))


def declared(module: str) -> dict[str, str]:
    """Return the variables of a module's text, by name, as they are written, without their validations."""
    return {match["name"]: VALIDATION.sub("", match[0]) for match in BLOCK.finditer(module)}


def stack(variables: Mapping[str, str]) -> dict[Path, str]:
    """Return the files of the stack that pass the module's variables on."""
    width = max(len(name) for name in variables)
    passed = "\n".join(f"  {name:{width}} = var.{name}" for name in variables)
    call = f'module "runner_dashboard" {{\n  source = "../../{MODULE}"\n\n{passed}\n}}\n'
    return {STACK / "variables.tf": "\n".join([CLUSTER, *variables.values()]), STACK / "main.tf": call}


def unquoted(value: Any) -> str:
    """Return an expression as the parser has it, without what it puts around."""
    text = str(value)
    return text[2:-1] if text.startswith("${") and text.endswith("}") else text.strip('"')


def described(text: str, of: str) -> dict[str, dict[str, Any]]:
    """Return the blocks *of* one kind in a module's text, by name."""
    blocks = hcl2.loads(text).get(of, [])
    return {name.strip('"'): body for block in blocks for name, body in block.items()}


def table(module: str, of: str) -> str:
    """Return a table of a README: of variables or outputs."""
    if of == "outputs":
        rows = [
            f"| `{name}` | {unquoted(about['description'])} |" for name, about in described(module, "output").items()
        ]
        return "\n".join(["| output | what it is |", "| --- | --- |", *rows]) + "\n"
    rows = []
    for name, about in described(module, "variable").items():
        type_ = unquoted(about["type"])
        shown = f"{type_.partition('(')[0]} of {inner(declared(module)[name])}" if "object(" in type_ else f"`{type_}`"
        rows.append(f"| `{name}` | {shown} | {default(about)} | {unquoted(about['description'])} |")
    return "\n".join(["| variable | type | default | what it says |", "| --- | --- | --- | --- |", *rows]) + "\n"


def inner(variable: str) -> str:
    """Return how a README shows the keys of a variable's objects: the outermost."""
    found = KEY.findall(variable.partition("type = ")[2])
    least = min(indent for indent, _ in found)
    return ", ".join(f"`{key}`" for indent, key in found if indent == least)


def default(about: Mapping[str, Any]) -> str:
    """Return how a README shows the default of a variable."""
    if "default" not in about:
        return "required"
    value = about["default"]
    match value:
        case None:
            return "`null`"
        case bool():
            return f"`{str(value).lower()}`"
        case str():
            return "`null`" if value in ("null", "${null}") else f"`{unquoted(value)}`"
        case _ if not value:
            return "`{}`" if isinstance(value, dict) else "`[]`"
        case _:
            return f"`{value}`"


def text_of(directory: Path, pattern: str) -> str:
    """Return the text of the files of a directory that match, in order."""
    return "\n".join(file.read_text() for file in sorted((ROOT / directory).glob(pattern)))


def written() -> dict[Path, str]:
    """Return every file that follows from something else, by its path below `tofu/`."""
    found = {MODULE / "settings.tf": settings(), MODULE / "alerts.yaml": alerts.render()}
    variables = (ROOT / MODULE / "variables.tf").read_text() + "\n" + found[MODULE / "settings.tf"]
    found |= stack(declared(variables))
    module = {"variables": variables, "outputs": text_of(MODULE, "outputs.tf")}
    of_stack = {"variables": found[STACK / "variables.tf"], "outputs": text_of(STACK, "outputs.tf")}
    for directory, texts in ((MODULE, module), (STACK, of_stack)):
        readme = directory / "README.md"
        found[readme] = TABLE.sub(
            lambda match, texts=texts: match["before"] + table(texts[match["kind"]], match["kind"]) + match["after"],
            (ROOT / readme).read_text(),
        )
    return found


if __name__ == "__main__":
    for path, text in written().items():
        (ROOT / path).write_text(text)
        sys.stdout.write(f"tofu/{path}\n")
