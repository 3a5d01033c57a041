"""Asking another service: small answers, short times, no redirects, and none of our secrets in what is said of it."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self

import httpx2
import msgspec

from ec_closure import strict_json
from ec_closure.errors import BadInputError
from runner_dashboard.refusals import ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX: Final = 1 << 20
_DEADLINE: Final = 20.0
_ANYTHING: Any = dict[str, Any] | list[Any]
_TIMES: Final = httpx2.Timeout(10.0, connect=5.0)


class Remote:
    """A client of one service. Methods raise `ProviderError` when it does not answer as it must."""

    def __init__(self) -> None:
        self._client = httpx2.Client(
            timeout=_TIMES,
            follow_redirects=False,
            headers={"Accept": "application/json", "User-Agent": "runner-dashboard"},
        )

    def get(self, address: str, *, bearer: str | None = None) -> Any:
        """Return the JSON at *address*."""
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        return self._ask(self._client.build_request("GET", address, headers=headers))

    def post(self, address: str, form: Mapping[str, str], *, basic: tuple[str, str] | None = None) -> Any:
        """Send a form and return the JSON that is answered."""
        request = self._client.build_request("POST", address, data=dict(form))
        if basic is not None:
            auth = httpx2.BasicAuth(*basic)
            request = next(auth.auth_flow(request))
        return self._ask(request)

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, request: httpx2.Request) -> Any:
        place = f"{request.url.scheme}://{request.url.netloc.decode()}{request.url.path}"
        deadline = time.monotonic() + _DEADLINE
        try:
            response = self._client.send(request, stream=True)
            try:
                body = self._body(response, deadline, place)
            finally:
                response.close()
        except httpx2.HTTPError as error:
            # Its text may hold the address with what was asked; its kind does not.
            raise ProviderError(
                f"the sign-in service cannot be reached ({type(error).__name__})", place=place,
                hint="try again; the dashboard's log says more",
            ) from error  # fmt: skip
        if response.status_code != HTTPStatus.OK:
            raise ProviderError(
                f"the sign-in service answered {response.status_code}{_said(body)}", place=place,
                hint="begin again; if it stays, check client_id, client_secret_file and the redirect URI that it knows",
            )  # fmt: skip
        try:
            return strict_json.decode(body, _ANYTHING, what="answer", max_bytes=_MAX, max_depth=16)
        except BadInputError as error:
            raise ProviderError("the sign-in service answered no JSON", place=place) from error

    def _body(self, response: httpx2.Response, deadline: float, place: str) -> bytes:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > _MAX or time.monotonic() > deadline:
                raise ProviderError("the sign-in service answers too much or too slowly", place=place)
        return bytes(body)


def _said(body: bytes) -> str:
    """Return the code of an OAuth error (RFC 6749 §5.2), which holds no secret; nothing else of the answer is shown."""
    try:
        found = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return ""
    code = found.get("error")
    return f" ({code})" if isinstance(code, str) and code.isascii() and code.replace("_", "").isalnum() else ""
