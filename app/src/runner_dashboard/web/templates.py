"""Jinja templates: everything is escaped, unknown names are errors, and what strangers wrote prints as itself."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from ec_closure.decoding import excerpt
from runner_dashboard.fleet.enrolment import key_line
from runner_dashboard.identity.roles import Role
from runner_dashboard.web import static
from runner_dashboard.web.charts import columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ec_closure.errors import EcError
    from runner_dashboard.identity.roles import Scope
    from runner_dashboard.web.call import Call

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_FEW = 2
_MAX = 300

NAVIGATION: Final[tuple[tuple[str, str, Role, Scope], ...]] = (
    ("/", "Overview", Role.VIEWER, "read"),
    ("/nodes", "Nodes", Role.VIEWER, "read"),
    ("/releases", "Releases", Role.VIEWER, "read"),
    ("/outliers", "Outliers", Role.VIEWER, "read"),
    ("/runners", "Runners of CI", Role.VIEWER, "read"),
    ("/alarms", "Alarms", Role.VIEWER, "read"),
    ("/authority", "Release authority", Role.VIEWER, "read"),
    ("/acknowledgements", "Acknowledged", Role.VIEWER, "read"),
    ("/enrolment", "Enrolment", Role.OPERATOR, "enrol"),
    ("/audit", "Audit", Role.ADMIN, "audit"),
    ("/tokens", "Tokens", Role.ADMIN, "tokens"),
    ("/settings", "Settings", Role.VIEWER, "read"),
)
"""The pages of the menu, with what each needs; a test compares this with the routes."""


def shown(text: str | None, limit: int = _MAX) -> str:
    """Return what a stranger wrote, on one line, with everything escaped that does not print as itself."""
    return excerpt(text or "", limit)


def when(moment: int | None) -> str:
    """Return a time in UTC; the empty text for none."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if moment else ""


def day(moment: int) -> str:
    """Return the day of a time in UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%m-%d")


def machine_time(moment: int) -> str:
    """Return a time as HTML's element `time` wants it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def lasting(seconds: int) -> str:
    """Return a length of time in words: its one or two largest units."""
    seconds = max(seconds, 0)
    if seconds < _FEW * _MINUTE:
        return f"{seconds} s"
    if seconds < _FEW * _HOUR:
        return f"{seconds // _MINUTE} min"
    return f"{seconds // _HOUR} h" if seconds < _FEW * _DAY else f"{seconds // _DAY} days"


def store_name(path: str) -> str:
    """Return the name in a store path, without directory and hash; other texts as they are."""
    last = path.rpartition("/")[2]
    return shown(last[33:] if len(last) > 33 and last[32] == "-" else last)  # noqa: PLR2004 - 32 characters of hash


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("runner_dashboard.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "shown": shown,
        "when": when,
        "machine_time": machine_time,
        "lasting": lasting,
        "store_name": store_name,
        "key_line": key_line,
        "day": day,
        "columns": columns,
    }
    made.globals |= {
        "icon": static.address("icon.svg"),
        "live_script": static.address("live.js"),
        "passkeys_script": static.address("passkeys.js"),
        "style": static.address("style.css"),
        "version": version("runner-dashboard"),
    }
    return made


def render(call: Call, template: str, values: Mapping[str, Any]) -> str:
    """Return the page that *template* makes of *values* and of who asks."""
    who = call.who
    form_value = ""
    if who is not None and who.session is not None:
        form_value = call.services.sessions.form_value(call.now, who.session)
    common = {
        "who": who,
        "now": call.now,
        "form_value": form_value,
        "here": call.spec.path,
        "menu": [(path, title) for path, title, role, scope in NAVIGATION if who and who.may(role, scope)],
    }
    return _environment().get_template(template).render(**common, **values)


def problem(status: int, phrase: str, error: EcError) -> str:
    """Return the page for a request that was refused."""
    return (
        _environment()
        .get_template("problem.html")
        .render(status=status, phrase=phrase, error=error, who=None, menu=[], here="", form_value="", now=0)
    )
