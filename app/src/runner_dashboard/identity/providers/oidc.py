"""An OpenID provider (OpenID Connect Core 1.0 §3.1, Discovery 1.0, RFC 9207): Forgejo, GitLab, or any other.

Who somebody is stands in a token that the provider signs. It must be signed by one of its keys, with an asymmetric
algorithm, by this issuer, for us, for this very attempt, and now.
"""

from __future__ import annotations

import hmac
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from runner_dashboard.identity.people import MAX_GROUPS, Known, clipped
from runner_dashboard.identity.providers.provider import with_query
from runner_dashboard.refusals import ProviderError, SignInError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner_dashboard.config import SignInTable
    from runner_dashboard.identity.providers.provider import Attempt
    from runner_dashboard.identity.providers.remote import Remote

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
"""None with a shared secret: whoever has the client's secret could then say who somebody is."""
_WELL_KNOWN: Final = "/.well-known/openid-configuration"
_LEEWAY: Final = 60
_KEPT: Final = 3600
_PATIENCE: Final = 60
"""Seconds between two looks for keys that are not known: a stranger's token must not make us ask each time."""
_MAX_TOKEN: Final = 64 << 10

T = TypeVar("T")


class _Described(msgspec.Struct, frozen=True):
    """What discovery says, of which this is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class OpenIdProvider:
    """The provider at `issuer` of *table*. Implements `Provider`; what it says of itself is kept for an hour."""

    def __init__(self, table: SignInTable, secret: str, remote: Remote) -> None:
        self._table = table
        self._secret = secret
        self._remote = remote
        self._lock = threading.Lock()
        self._described: tuple[int, _Described] | None = None
        self._keys: tuple[int, KeySet] | None = None

    @property
    def key(self) -> str:
        """What people of it are filed under."""
        return self._table.issuer

    @property
    def title(self) -> str:
        """What it is called on the page."""
        return self._table.name or self._table.issuer.partition("://")[2].partition("/")[0]

    def address(self, attempt: Attempt, state: str, now: int) -> str:
        """Return where the browser is sent."""
        return with_query(
            self._discovered(now).authorization_endpoint,
            {
                "response_type": "code",
                "client_id": self._table.client_id,
                "redirect_uri": attempt.redirect,
                "scope": " ".join(dict.fromkeys(("openid", *self._table.scopes))),
                "state": state,
                "nonce": attempt.nonce,
                "code_challenge": attempt.challenge,
                "code_challenge_method": "S256",
            },
        )

    def known(self, attempt: Attempt, answer: Mapping[str, str], now: int) -> Known:
        """Return who signed in. Raises `ProviderError` or `SignInError`."""
        # Whose answer it is, where the provider says so: one provider could pass on another's (RFC 9207).
        if answer.get("iss") not in (None, self._table.issuer):
            raise SignInError("the answer is from another provider than was asked", hint="begin again")
        described = self._discovered(now)
        tokens = self._exchanged(described, attempt, answer.get("code", ""))
        text = tokens.get("id_token")
        if not isinstance(text, str) or len(text) > _MAX_TOKEN:
            raise ProviderError("the sign-in service gave no ID token", place=self._table.issuer)
        claims = self._verified(text, attempt, now)
        if self._lacks(claims) and described.userinfo_endpoint and isinstance(tokens.get("access_token"), str):
            more = self._remote.get(described.userinfo_endpoint, bearer=tokens["access_token"])
            if not isinstance(more, dict) or more.get("sub") != claims["sub"]:
                raise SignInError("the provider's two answers are about different people")
            claims = more | claims
        return self._person(claims)

    def _lacks(self, claims: Mapping[str, Any]) -> bool:
        return any(name and name not in claims for name in (self._table.login_claim, self._table.groups_claim))

    def _person(self, claims: Mapping[str, Any]) -> Known:
        table = self._table
        if table.login_claim == "email" and claims.get("email_verified") is not True:
            raise SignInError("the provider has not verified this address", hint="verify it there, then begin again")
        login = clipped(claims.get(table.login_claim), "login")
        if login is None:
            raise SignInError(
                f"the provider says no {table.login_claim}", hint="see sign_in.login_claim and sign_in.scopes"
            )
        listed = claims.get(table.groups_claim) if table.groups_claim else None
        groups = [group for one in (listed if isinstance(listed, list) else [])[:MAX_GROUPS]
                  if (group := clipped(one, "group"))]  # fmt: skip
        return Known(claims["sub"], login, clipped(claims.get("name"), "name") or login, tuple(groups))

    def _exchanged(self, described: _Described, attempt: Attempt, code: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect,
            "code_verifier": attempt.verifier,
        }
        basic = None
        if "client_secret_basic" in described.token_endpoint_auth_methods_supported:
            basic = (self._table.client_id, self._secret)
        else:
            form |= {"client_id": self._table.client_id, "client_secret": self._secret}
        found = self._remote.post(described.token_endpoint, form, basic=basic)
        if not isinstance(found, dict):
            raise ProviderError("the sign-in service answered no tokens", place=described.token_endpoint)
        return found

    def _verified(self, text: str, attempt: Attempt, now: int) -> dict[str, Any]:
        try:
            token = self._decoded(text, now)
        except (JoseError, ValueError) as error:
            raise SignInError(f"the ID token is not signed by the provider ({type(error).__name__})") from error
        claims: dict[str, Any] = token.claims
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        for holds, what in (
            (claims.get("iss") == self._table.issuer, "is from another issuer"),
            (self._table.client_id in audiences, "is for another client"),
            (len(audiences) == 1 or claims.get("azp") == self._table.client_id, "is for several clients"),
            (_before(now - _LEEWAY, claims.get("exp")), "has ended, or says no end"),
            (_before(claims.get("iat"), now + _LEEWAY), "is from the future, or says no time"),
            (_before(claims.get("nbf", 0), now + _LEEWAY), "does not hold yet"),
            (_same(claims.get("nonce"), attempt.nonce), "is not for this attempt"),
            (isinstance(claims.get("sub"), str) and 0 < len(claims["sub"]) <= 255, "names nobody"),  # noqa: PLR2004 - Core §2
        ):
            if not holds:
                raise SignInError(f"the ID token {what}", hint="begin again; if it stays, see sign_in and both clocks")
        return claims

    def _decoded(self, text: str, now: int) -> jwt.Token:
        keys = self._provider_keys(now, again=False)
        try:
            return jwt.decode(text, keys, algorithms=list(ALGORITHMS))
        except (JoseError, ValueError):
            # Providers replace their keys.
            newer = self._provider_keys(now, again=True)
            if newer is keys:
                raise
            return jwt.decode(text, newer, algorithms=list(ALGORITHMS))

    def _provider_keys(self, now: int, *, again: bool) -> KeySet:
        with self._lock:
            kept = self._keys
        if kept is not None and now - kept[0] < (_PATIENCE if again else _KEPT):
            return kept[1]
        document = self._remote.get(self._discovered(now).jwks_uri)
        try:
            keys = KeySet.import_key_set(document)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise ProviderError("the sign-in service has no keys that can be read", place=self._table.issuer) from error
        with self._lock:
            self._keys = (now, keys)
        return keys

    def _discovered(self, now: int) -> _Described:
        """Return what the provider says of itself."""
        with self._lock:
            kept = self._described
        if kept is not None and now - kept[0] < _KEPT:
            return kept[1]
        place = f"{self._table.issuer.rstrip('/')}{_WELL_KNOWN}"
        found = _converted(lambda: msgspec.convert(self._remote.get(place), _Described), place)
        if found.issuer != self._table.issuer:
            raise ProviderError(
                f"the sign-in service calls itself {found.issuer[:200]!r}", place=place,
                hint="write sign_in.issuer exactly so, to the last slash",
            )  # fmt: skip
        secure = self._table.issuer.startswith("https://")
        for address in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri, found.userinfo_endpoint):
            if address is not None and not address.startswith("https://" if secure else ("https://", "http://")):
                raise ProviderError("the sign-in service names an address that is not https", place=place)
        with self._lock:
            self._described = (now, found)
        return found


def _before(early: object, late: object) -> bool:
    # To Python, `true` is a number.
    if isinstance(early, bool) or isinstance(late, bool):
        return False
    return isinstance(early, int | float) and isinstance(late, int | float) and early <= late


def _same(one: object, other: str) -> bool:
    return isinstance(one, str) and hmac.compare_digest(one.encode(), other.encode())


def _converted(read: Callable[[], T], place: str) -> T:
    try:
        return read()
    except msgspec.ValidationError as error:
        raise ProviderError(f"the sign-in service describes itself badly: {error}", place=place) from error
