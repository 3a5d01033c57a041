"""Asking a forge's API: JSON, short times, no redirects, pages up to a limit; the token is in no error and no log."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httpx2

from ec_closure import strict_json
from ec_closure.errors import BadInputError
from runner_dashboard.refusals import ForgeError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX: Final = 4 << 20
_TIMES: Final = httpx2.Timeout(10.0, connect=5.0)
_ANYTHING: Any = dict[str, Any] | list[Any]
PAGES: Final = 20
"""Pages that are asked for at most: a thousand runners or two."""
_HINTS: Final = {
    HTTPStatus.UNAUTHORIZED: "the token was refused: see token_file",
    HTTPStatus.FORBIDDEN: "the token may not do this: see docs/dashboard.md for what it needs",
    HTTPStatus.NOT_FOUND: "see url and scope; a forge also says this of what a token may not see",
}


class ForgeClient:
    """A client of the API at *base*, with *headers* that prove who asks."""

    def __init__(self, base: str, headers: Mapping[str, str]) -> None:
        self._base = base
        self._headers = dict(headers)
        # Made here, not with each request: it knows the authorities of TLS.
        self._client = httpx2.Client(timeout=_TIMES, follow_redirects=False)

    def get(self, path: str, **query: str | int) -> Any:
        """Return the JSON at *path*. Raises `ForgeError`."""
        return self._ask("GET", path, params=query)

    def put(self, path: str, form: Mapping[str, str]) -> Any:
        """Change what is at *path*. Raises `ForgeError`."""
        return self._ask("PUT", path, data=dict(form))

    def _ask(self, method: str, path: str, **what: Any) -> Any:
        try:
            with self._client.stream(method, f"{self._base}{path}", headers=self._headers, **what) as answer:
                body = bytearray()
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > _MAX:
                        raise ForgeError("the forge answers too much", place=path)
        except httpx2.HTTPError as error:
            raise ForgeError(f"the forge cannot be reached ({type(error).__name__})", place=path) from error
        if not answer.is_success:
            hint = _HINTS.get(HTTPStatus(answer.status_code)) if answer.status_code in set(HTTPStatus) else None
            raise ForgeError(f"the forge answered {answer.status_code}", place=path, hint=hint)
        try:
            return strict_json.decode(bytes(body), _ANYTHING, what="answer", max_bytes=_MAX, max_depth=16)
        except BadInputError as error:
            raise ForgeError("the forge answered no JSON", place=path) from error


def pages(client: ForgeClient, path: str, size: str) -> list[Any]:
    """Return what all pages of a list hold; *size* is what its parameter is called. Raises `ForgeError`."""
    found: list[Any] = []
    for number in range(1, PAGES + 1):
        answer = client.get(path, page=number, **{size: 100})
        rows = answer.get("runners") if isinstance(answer, dict) else answer
        if not isinstance(rows, list):
            raise ForgeError("the forge answered no list of runners", place=path)
        if not rows:
            break
        found += rows
    return [row for row in found if isinstance(row, dict)]
