"""Pictures of every page, for the documentation and for reviews: `EC_SCREENSHOTS` names a directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.runner_dashboard.browser.watched import DESKTOP, PHONE, signed_in

from runner_dashboard.web.templates import NAVIGATION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import BrowserContext


@pytest.fixture
def taken(images: Path | None) -> Path:
    """Return the directory for pictures."""
    if images is None:
        pytest.skip("EC_SCREENSHOTS names no directory")
    images.mkdir(parents=True, exist_ok=True)
    return images


@pytest.mark.parametrize("which", ["fleet", "empty"])
def test_pictures_are_taken(
    request: pytest.FixtureRequest, new_context: Callable[..., BrowserContext], taken: Path, which: str
) -> None:
    """Of each page of the menu and of those behind it, with a clock that stands still."""
    dashboard: Any = request.getfixturevalue(which)
    watched = signed_in(new_context(device_scale_factor=1, reduced_motion="reduce"), dashboard)
    page = watched.page
    shots = {path: title.lower().replace(" ", "-") for path, title, *_ in NAVIGATION}
    nodes = dashboard.get("/api/v1/nodes?sort=trouble").json["nodes"]
    if nodes:
        shots[f"/nodes/{nodes[0]['id']}"] = "node"
        shots[f"/nodes/{nodes[0]['id']}/paths"] = "paths"
        shots[f"/releases/{dashboard.get('/api/v1/manifests').json['manifests'][0]['digest']}"] = "release"
    mark = "" if nodes else "empty-"
    for path, name in shots.items():
        for viewport, where in ((DESKTOP, ""), (PHONE, "-phone")):
            page.set_viewport_size(viewport)  # type: ignore[arg-type]
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                watched.open(path)
                page.screenshot(path=taken / f"{mark}{name}{where}{'' if scheme == 'light' else '-dark'}.png")
    assert len(list(taken.glob(f"{mark}*.png"))) >= 4 * len(shots)
