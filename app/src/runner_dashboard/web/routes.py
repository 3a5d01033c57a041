"""The route table: everything that is served, each with the role and the scope that it needs.

The application, the description of the API and the tests of authorization are all made from this.
"""

from __future__ import annotations

from runner_dashboard.web import node_api, ops_api
from runner_dashboard.web.api import authority, changing, manifests, reading, runners
from runner_dashboard.web.pages import changing as forms
from runner_dashboard.web.pages import live, passkeys, paths, provider, sign_in
from runner_dashboard.web.pages import reading as pages
from runner_dashboard.web.pages import runners as runner_pages

ROUTES = (
    *ops_api.ROUTES,
    *node_api.ROUTES,
    *sign_in.ROUTES,
    *provider.ROUTES,
    *passkeys.ROUTES,
    *pages.ROUTES,
    *forms.ROUTES,
    *live.ROUTES,
    *paths.ROUTES,
    *runner_pages.ROUTES,
    *reading.ROUTES,
    *manifests.ROUTES,
    *runners.ROUTES,
    *authority.ROUTES,
    *changing.ROUTES,
)
