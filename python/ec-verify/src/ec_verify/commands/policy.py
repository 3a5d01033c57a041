"""`ec-verify policy check` and `policy explain`: what an operator accepts, and what deserves a second look."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from ec_closure import policy as policies
from ec_closure.errors import UsageError
from ec_closure.findings import KINDS
from ec_closure.policy_lint import PolicyCheck, lint
from ec_closure.policy_words import PolicyExplanation, Says, about_code, about_name, whole
from ec_verify.commands.options import Common, Trust
from ec_verify.config import read_file
from ec_verify.text import one_line, printable

_CODE = re.compile(r"[Ee][Vv][0-9]+")
_BUILT_IN = "the built-in policy"
Time = Annotated[str | None, Parameter(help="Judge as if it were this time (2026-11-20T21:00:00Z) [now].")]


def check(
    file: Path | None = None,
    /,
    *,
    strict: Annotated[bool, Parameter(help="Exit with 1 when a warning is printed.", negative=())] = False,
    time: Time = None,
    common: Common = Common(),
) -> int:
    """Check a policy, and say what deserves a second look: wide patterns, grave codes, entries that end or never count.

    Exit codes: 0 valid, 2 not valid, 1 with --strict when there are warnings. Nothing is read from store or network.

    Parameters
    ----------
    file: Path
        The policy; the one that the configuration names when not given.
    """
    day = Trust(time=time).reference_time().date()
    if file is None:
        settings = common.settings()
        named, policy, digest = settings.config.policy or _BUILT_IN, settings.policy, settings.policy_digest
        if digest == hashlib.sha256(b"").hexdigest():
            named = _BUILT_IN
    else:
        data = read_file(file, policies.MAX_BYTES)
        named, policy, digest = str(file), policies.decode(data, what=str(file)), hashlib.sha256(data).hexdigest()
    found = PolicyCheck(policy=one_line(named), digest=digest, notes=lint(policy, day))
    if common.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
    else:
        sys.stdout.write(f"{found.policy} is valid; level {policy.level}\n")
        sys.stdout.writelines(f"{note.level:4}  {note.place}: {printable(note.message)}\n" for note in found.notes)
    return int(strict and any(note.level == "warn" for note in found.notes))


def explain(what: str | None = None, /, *, time: Time = None, common: Common = Common()) -> int:
    """Say what the policy does: with one code, one path or one name; without an argument, with everything.

    Parameters
    ----------
    what: str
        A finding's code (EV205), a path, or the name of a store path.
    """
    settings = common.settings()
    policy, day = settings.policy, Trust(time=time).reference_time().date()
    says: tuple[Says, ...]
    if what is None:
        says = whole(policy, day)
    elif _CODE.fullmatch(what):
        if what.upper() not in KINDS:
            raise UsageError(f"no finding has the code {what}", hint="docs/findings.md lists every code")
        says = about_code(policy, what.upper(), day)
    elif not what:
        raise UsageError("the empty text names nothing", hint="name a code, a path or a name")
    else:
        says = about_name(policy, what, settings.config.store.dir, day)
    if common.json:
        found = PolicyExplanation(
            digest=settings.policy_digest, subject=one_line(what) if what is not None else None, says=says
        )
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
    else:
        width = max(len(one.about) for one in says)
        sys.stdout.writelines(f"{one.about:{width}}  {printable(one.text)}\n" for one in says)
    return 0
