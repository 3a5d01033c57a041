"""One request, as handlers see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qsl

from ec_closure import strict_json
from ec_closure.errors import BadInputError
from runner_dashboard.refusals import MalformedError, WrongTypeError
from runner_dashboard.web.spec import MAX_BODY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner_dashboard.identity.roles import Principal
    from runner_dashboard.services import Services
    from runner_dashboard.web.spec import Spec

T = TypeVar("T")

_MAX_FIELDS = 100
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Call:
    """A request that was let in: *who* asks (None on public routes), when (*now*), and what with."""

    services: Services
    spec: Spec
    now: int
    who: Principal | None
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    address: str
    body: bytes = b""

    @property
    def actor(self) -> str:
        """Who asks, for the audit."""
        return self.who.name if self.who is not None else f"address {self.address}"

    def form(self) -> dict[str, str]:
        """Return the fields of the form that was sent. Raises `WrongTypeError` or `MalformedError`."""
        if self.headers.get("content-type", "").partition(";")[0].strip() != _FORM:
            raise WrongTypeError("forms are sent as application/x-www-form-urlencoded")
        try:
            pairs = parse_qsl(self.body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
        except ValueError as error:
            raise MalformedError(f"no form: {error}") from error
        return dict(pairs)

    def json(self, kind: type[T]) -> T:
        """Return the body as a value of *kind*. Raises `WrongTypeError` or `MalformedError`."""
        if self.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise WrongTypeError("bodies are sent as application/json")
        try:
            return strict_json.decode(self.body, kind, what="body", max_bytes=MAX_BODY, max_depth=8)
        except BadInputError as error:
            raise MalformedError(str(error)) from error

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """Return a parameter of the address that is a number. Raises `MalformedError`."""
        text = self.query.get(name, "")
        if not text:
            return default
        if not text.isascii() or not text.isdecimal() or not low <= int(text[:20]) <= high:
            raise MalformedError(f"{name} is a number from {low} to {high}")
        return int(text)

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """Return a parameter of the address that is one of few words. Raises `MalformedError`."""
        text = self.query.get(name, "") or default
        if text not in allowed:
            raise MalformedError(f"{name} is one of {', '.join(one for one in allowed if one)}")
        return text
