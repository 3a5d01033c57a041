"""What holds between keys of dashboard.toml, and which no type can say."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner_dashboard.config import Config

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def contradictions(config: Config) -> Iterator[tuple[str, str]]:
    """Yield what cannot work, and the key or the table that says so."""
    yield from _people(config)
    for name, forge in (("forgejo", config.forgejo), ("github", config.github), ("gitlab", config.gitlab)):
        if forge.scope and not (forge.token_file and (forge.url or name == "github")):
            yield "needs url and token_file", name
    releases = config.releases
    if releases.metadata_url and not (releases.target_url and releases.root_file):
        yield "needs target_url and root_file", "releases"
    if config.notify.url and not config.notify.secret_file:
        yield "needs secret_file: the receiver could not tell who sends", "notify"


def _people(config: Config) -> Iterator[tuple[str, str]]:
    sign_in = config.sign_in
    if sign_in.kind != "none":
        if not config.server.public_url:
            yield "signing in at another service needs server.public_url, to which it sends people back", "sign_in"
        if not sign_in.client_id or not sign_in.client_secret_file:
            yield "needs client_id and client_secret_file", "sign_in"
    if sign_in.kind == "oidc" and not sign_in.issuer:
        yield "needs issuer", "sign_in"
    issuer = urlsplit(sign_in.issuer)
    if issuer.scheme == "http" and issuer.hostname not in LOOPBACK:
        yield "is http: who answers there cannot be told", "sign_in.issuer"
    for network in config.proxy.networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            yield f"{network} is no network: {error}", "proxy.networks"


def remarks(config: Config) -> list[str]:
    """Return what is valid, and deserves a second look."""
    found = []
    if config.server.host not in LOOPBACK and not config.secure:
        found.append(
            "server.host is reachable from elsewhere and server.public_url is not https: tokens and session "
            "cookies travel in the clear"
        )
    if config.notify.url.startswith("http://") and urlsplit(config.notify.url).hostname not in LOOPBACK:
        found.append("notify.url is http: whoever is on the way reads which nodes are in trouble")
    people = config.sign_in
    if people.kind != "none" and not any((people.admins, people.operators, people.viewers)):
        found.append("sign_in lists nobody: whoever signs in there may nothing")
    for name, forge in (("forgejo", config.forgejo), ("github", config.github), ("gitlab", config.gitlab)):
        if forge.scope and forge.url.startswith("http://") and urlsplit(forge.url).hostname not in LOOPBACK:
            found.append(f"{name}.url is http: whoever is on the way reads the token")
    if config.ingest.in_flight < config.ingest.max_envelope:
        found.append("ingest.in_flight is below ingest.max_envelope: the largest envelopes are never taken")
    return found
