"""The system's Chromium, without a window, for tests that look as people do."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome-stable")
PATIENCE = 30_000
"""Milliseconds until something that should happen is missing: machines under load are slow."""


@contextmanager
def launched(*arguments: str) -> Iterator[Browser]:
    """Start it; skip where there is none."""
    if PROGRAM is None:
        pytest.skip("there is no chromium on the PATH")
    words = [*arguments, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=words)
        try:
            yield browser
        finally:
            browser.close()
