"""What the tests of publishing to a forge share: the forge, a publisher with little patience, and readers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import stamina
import structlog
from tests.ec_release.forge.server import REPOSITORY, TOKEN, Forge, serving

from ec_fetch.client import TrustClient, TrustSettings
from ec_release.backend.forgejo.api import Api
from ec_release.backend.forgejo.backend import ForgejoBackend, Presentation
from ec_release.backend.forgejo.holder import Holder
from ec_release.backend.forgejo.http import Http, Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = Patience(attempts=3, call=20.0, answer=20.0, stall=20.0, longest=10.0)


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    """Leave the pauses between attempts out; and write no logs where those of an earlier test went."""
    structlog.reset_defaults()
    with stamina.set_testing(True, attempts=3, cap=True):
        yield
    structlog.reset_defaults()


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[Forge]:
    """Give an empty repository on a forge; at the end, every request and answer was as described."""
    with serving(tmp_path / "forge") as made:
        yield made
    assert made.violations == []


@pytest.fixture
def make_backend(forge: Forge) -> Callable[..., ForgejoBackend]:
    """Give a function that makes a publisher to the forge."""

    def make(
        *,
        patience: Patience = PATIENCE,
        token: str | None = TOKEN,
        run: dict[str, str] | None = None,
        **shown: Any,
    ) -> ForgejoBackend:
        http = Http(token=token, origins=(forge.url,), patience=patience)
        api = Api(http, f"{forge.url}/api/v1", *REPOSITORY.split("/"))
        return ForgejoBackend(api, Holder.ours(run or {}), Presentation(**shown))

    return make


@pytest.fixture
def backend(make_backend: Callable[..., ForgejoBackend]) -> ForgejoBackend:
    """Give a publisher."""
    return make_backend()


@pytest.fixture
def new_place(tmp_path: Path, forge: Forge, make_place: Callable[[], Any], make_backend: Any) -> Any:
    """Give a place on the forge where nothing was published yet."""

    class ForgePlace(make_place):  # type: ignore[valid-type, misc]
        """A repository on a forge."""

        def __post_init__(self) -> None:
            super().__post_init__()
            self.forge, self.backend = forge, make_backend()

        def reader(self, state: str = "reader", root: bytes | None = None) -> TrustClient:
            """Return a node that knows nothing but addresses."""
            base = f"{forge.url}/{REPOSITORY}/releases/download/"
            settings = TrustSettings(f"{base}trust/", base, root or self.root, self.path / state)
            return TrustClient(settings, reference_time=self.time)

        def files(self) -> dict[str, bytes]:
            """Return what is published, by path."""
            return dict(forge.state.tree())

    return ForgePlace(tmp_path)
