"""What somebody sees who watches with hls.js, the player of most pages, in a real Chromium.

hls.js is not part of this repository: `./dev setup` asks npm for the version whose digest stands here.
"""

from __future__ import annotations

import hashlib
import os
import signal
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from tests.chromium import PATIENCE, launched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

_PLAYER = Path(__file__).parents[2] / ".tools/hls.js/node_modules/hls.js/dist/hls.min.js"
_DIGEST = "cfc70cc9e9fc63d071919e087670abc760c8fd1bc889b88588026e4d22193bbe"
_PAGE = """<!doctype html><html lang="en"><title>A player</title><video muted playsinline></video>
<script src="hls.min.js"></script>
<script>
  const video = document.querySelector("video"), fatal = [], hls = new Hls();
  hls.on(Hls.Events.ERROR, (_, about) => { if (about.fatal) fatal.push(about.details); });
  hls.loadSource(decodeURIComponent(location.search.slice(1)));
  hls.attachMedia(video);
  video.play();
</script></html>"""
_SHOWN = "() => document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames"
_AT = "() => document.querySelector('video').currentTime"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Serve a page with the player, from another origin than the broadcast's."""
    if not _PLAYER.is_file():
        pytest.skip("there is no hls.js: `./dev setup` installs it where npm is on the PATH")
    player = _PLAYER.read_bytes()
    assert hashlib.sha256(player).hexdigest() == _DIGEST, "this is not the hls.js that was meant"
    directory = tmp_path / "site"
    directory.mkdir()
    (directory / "hls.min.js").write_bytes(player)
    (directory / "index.html").write_text(_PAGE)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=directory)) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _beyond(page: Page, seconds: float, frames: int) -> None:
    page.wait_for_function(f"([at, shown]) => ({_AT})() > at && ({_SHOWN})() > shown", arg=[seconds, frames])


def test_a_page_plays_and_goes_on_after_the_encoder_died(publishing: Any, site: str) -> None:
    """Pictures advance, across a discontinuity as well, and nothing is fatal to the player."""
    publishing.configure(window=60)
    publishing.start()
    publishing.message("READY=1")
    with launched("--autoplay-policy=no-user-gesture-required") as browser:
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"{site}/?http%3A%2F%2F127.0.0.1%3A{publishing.port}%2Ftest%2Fmaster.m3u8")
        _beyond(page, 0, 0)
        begun, shown = page.evaluate(_AT), page.evaluate(_SHOWN)
        _beyond(page, begun + 2, shown + 10)
        os.kill(publishing.ffmpeg(), signal.SIGKILL)
        at, shown = page.evaluate(_AT), page.evaluate(_SHOWN)
        # Further than what it had in its buffer when the encoder died
        _beyond(page, at + 8, shown + 40)

        assert [] == page.evaluate("() => fatal")
    assert [True] == [entry.discontinuity for entry in publishing.playlist().entries[1:] if entry.discontinuity]
    assert 0 == publishing.end()
