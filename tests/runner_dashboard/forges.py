"""Three forges that have runners of CI, on loopback."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "the-forge-token"  # noqa: S105 - of a forge that lives for one test


class Forges:
    """Three forges on one address: *pages* holds their answers by path, *faults* replaces them."""

    def __init__(self) -> None:
        self.pages: dict[str, list[Any]] = {
            "/api/v1/orgs/acme/actions/runners": [
                {"id": 1, "name": "oslo-1", "status": "active", "labels": ["nix", "x86_64"], "version": "v9.1.0"},
                {"id": 2, "name": "oslo-2", "status": "offline", "labels": []},
            ],
            "/api/v3/repos/acme/site/actions/runners": [
                {
                    "id": 7,
                    "name": "lima-1",
                    "os": "Linux",
                    "status": "online",
                    "busy": False,
                    "labels": [{"name": "arm"}],
                }
            ],
            "/api/v4/groups/acme%2Ffleet/runners": [
                {"id": 70, "description": "riga-1", "status": "online", "paused": False, "active": True},
                {"id": 71, "description": "riga-2", "status": "stale", "paused": True},
            ],
        }
        self.faults: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.changed: list[tuple[str, dict[str, list[str]]]] = []
        self.tokens: set[str] = set()
        forges = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                forges.asked.append(parts.path)
                forges.tokens.add(self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or "")
                number = int(parse_qs(parts.query)["page"][0])
                rows = forges.pages.get(parts.path, []) if number == 1 else []
                body: Any = {"total_count": len(rows), "runners": rows} if "/v3/" in parts.path else rows
                self.answer(*forges.faults.get(parts.path, (200, json.dumps(body).encode())))

            def do_PUT(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                forges.changed.append((self.path, form))
                for row in forges.pages["/api/v4/groups/acme%2Ffleet/runners"]:
                    if self.path.endswith(f"/{row['id']}"):
                        row["paused"] = form["paused"] == ["true"]
                self.answer(*forges.faults.get(self.path, (200, b"{}")))

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
