"""A flake's outputs of one system: what they evaluate to, one by one.

Nix can catch `throw` and `assert`, and nothing else: a missing attribute or a wrong type ends the whole evaluation.
What evaluates together is therefore halved until the output that fails stands alone. Of what Nix prints, nothing is
read but the JSON of a value of our own making, which all releases print alike.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from ec_closure.decoding import excerpt, explain
from ec_closure.errors import LimitError, UsageError
from ec_release import nix_settings, program
from ec_release.images import names
from ec_release.images.errors import NamingError, OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Category = Literal["packages", "checks"]
CATEGORIES: tuple[Category, ...] = ("packages", "checks")

_ABSENT = "does not provide attribute"
_MAX_ANSWER = 64 << 20
_MAX_OUTPUTS = 10_000
# `or` also answers where there is no set to look into, so that a malformed `meta.ci` means nothing; comparing with a
# Boolean is false for everything else. What throws in `meta` means nothing, too.
_QUERY = """
outputs:
let
  all = outputs.${system} or { };
  certain = value: default: let tried = builtins.tryEval value; in if tried.success then tried.value else default;
  described = name:
    let value = all.${name}; in
    if (value.type or null) != "derivation" then
      throw "is no derivation"
    else {
      drv = builtins.unsafeDiscardStringContext value.drvPath;
      outs = map (out: builtins.unsafeDiscardStringContext "${value.${out}.outPath}") (value.outputs or [ "out" ]);
      skip = certain ((value.meta.ci.skip or false) == true) false;
      withheld = certain ((value.meta.ci.publish or true) == false) false;
      copies = certain ((value.passthru.copyTo.type or null) == "derivation") false;
    };
  row = name:
    let
      found = described name;
      tried = builtins.tryEval (builtins.deepSeq found found);
    in
    { inherit name; } // (if strict then found else if tried.success then tried.value else { failed = true; });
  every = builtins.attrNames all;
in
{
  names = every;
  rows = map row (if wanted == null then builtins.genList (builtins.elemAt every) (
    if builtins.length every < limit then builtins.length every else limit) else wanted);
}
"""


def read_categories(text: str) -> tuple[Category, ...]:
    """Return the categories that *text* lists, `packages,checks`. Raises `UsageError`."""
    wanted = {word.strip() for word in text.split(",")}
    if unknown := sorted(wanted - set(CATEGORIES)):
        raise UsageError(f"{unknown[0]!r} is no kind of outputs that is built", hint=f"known: {','.join(CATEGORIES)}")
    return tuple(category for category in CATEGORIES if category in wanted)


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    drv: str = ""
    outs: list[str] = []
    skip: bool = False
    withheld: bool = False
    copies: bool = False
    failed: bool = False


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    names: list[str]
    rows: list[_Row]


@dataclass(frozen=True)
class Output:
    """One output of the flake. *paths* are all its store paths; *error* says why it does not evaluate."""

    category: Category
    name: str
    paths: tuple[str, ...] = ()
    skip: bool = False
    withheld: bool = False
    copies: bool = False
    error: str | None = None


class Flake:
    """The flake in the directory *top*, and the *nix* that evaluates it with *options*."""

    def __init__(self, top: Path, nix: str = "nix", options: Sequence[tuple[str, str]] = ()) -> None:
        self.top = top
        self.nix = nix
        self.options = [word for name, value in options for word in ("--option", name, value)]
        self._environment = program.environment()

    def this_system(self) -> str:
        """Return the system that Nix builds for here. Raises `ProgramError`, `NamingError`."""
        answer = program.ask(
            [self.nix, *nix_settings.FEATURES, "eval", "--raw", "--impure", "--expr", "builtins.currentSystem"],
            env=self._environment,
        )
        return names.system(answer.output.decode(errors="replace").strip())

    def outputs(self, category: Category, system: str, at_once: int) -> list[Output]:
        """Return the outputs of one *category* for *system*, by name; none where the flake has no such category.

        So many as *at_once* are evaluated by one process, which keeps in memory what it has evaluated. Raises
        `OutputError` when the names themselves cannot be told.
        """
        try:
            first = self._ask(category, system, None, at_once)
        except OutputError as error:
            if _ABSENT in error.message:
                return []
            # One of them ended the evaluation of all.
            first = self._ask(category, system, (), 0)
        if len(first.names) > _MAX_OUTPUTS:
            raise LimitError(f"more than {_MAX_OUTPUTS} outputs", place=category)
        found = [self._output(category, system, row) for row in first.rows]
        rest = first.names[len(found) :]
        for start in range(0, len(rest), at_once):
            found += self.named(category, system, rest[start : start + at_once])
        return found

    def named(self, category: Category, system: str, wanted: Sequence[str]) -> list[Output]:
        """Return the outputs *wanted*. Those that do not evaluate, or are not there, say so."""
        pending = [list(wanted)] if wanted else []
        found: list[Output] = []
        while pending:
            group = pending.pop()
            try:
                found += [self._output(category, system, row) for row in self._ask(category, system, group, 0).rows]
            except OutputError as error:
                if len(group) == 1:
                    found.append(Output(category, group[0], error=error.message))
                else:
                    half = len(group) // 2
                    pending += [group[half:], group[:half]]
        return found

    def _output(self, category: Category, system: str, row: _Row) -> Output:
        if row.failed:
            return Output(category, row.name, error=self._reason(category, system, row.name))
        try:
            names.attribute(row.name)
        except NamingError as error:
            return Output(category, row.name, error=error.message)
        return Output(
            category,
            row.name,
            paths=tuple(row.outs),
            skip=row.skip,
            withheld=row.withheld,
            copies=row.copies and category == "packages" and names.is_image(row.name),
        )

    def _reason(self, category: Category, system: str, name: str) -> str:
        """Return why an output does not evaluate: what was caught is not told, so it is evaluated once more."""
        try:
            self._ask(category, system, [name], 0, strict=True)
        except OutputError as error:
            return error.message
        return "does not evaluate"

    def _ask(
        self, category: Category, system: str, wanted: Sequence[str] | None, limit: int, *, strict: bool = False
    ) -> _Answer:
        function = f"""let
  system = {_quoted(system)};
  wanted = {"null" if wanted is None else f"[ {' '.join(map(_quoted, wanted))} ]"};
  limit = {limit};
  strict = {"true" if strict else "false"};
in {_QUERY}"""
        argv = [
            *(self.nix, *nix_settings.FEATURES, "eval", "--json", "--no-update-lock-file", *self.options),
            # Else packages.SYSTEM.checks would be found before checks: this names a system that nobody has.
            *("--option", "system", "ec-none"),
            *(f".#{category}", "--apply", function),
        ]
        try:
            answer = program.ask(argv, env=self._environment, cwd=self.top, deadline=3600.0).output
        except program.FailedError as error:
            raise OutputError(error.message, place=category) from error
        if len(answer) > _MAX_ANSWER:
            raise LimitError(f"Nix answers more than {_MAX_ANSWER >> 20} MiB", place=category)
        try:
            return msgspec.json.decode(answer, type=_Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            message, place = explain(error, category)
            raise OutputError(message, place=place) from error


def _quoted(text: str) -> str:
    """Return *text* as a string of the Nix language."""
    return json.dumps(text, ensure_ascii=False).replace("${", "\\${")


def failed(outputs: Sequence[Output]) -> Iterator[str]:
    """Yield a line for each output that does not evaluate."""
    for one in outputs:
        if one.error is not None:
            yield f"{one.category}.{excerpt(one.name, 80)}: {one.error}"
