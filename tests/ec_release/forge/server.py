"""A Forgejo of one repository on the loopback: API v1 and downloads, as described and as it behaves.

Judges every request and every answer by the API's description; faults befall what they are planned for.
"""

from __future__ import annotations

import http.server
import json
import re
import socket
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.ec_release.forge.contract import Contract, ContractError, Operation
from tests.ec_release.forge.faults import Fault
from tests.ec_release.forge.state import State

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

TOKEN = "forge-secret-0123456789"  # noqa: S105 - of a forge that lives for one test
READER = "forge-reader-0123456789"
REPOSITORY = "every-channel/runner"
_CHUNK = 1 << 20
_RANGE = re.compile(r"bytes=(\d+)-")


class Forge(http.server.ThreadingHTTPServer):
    """The server. *seen* holds (method, target, headers) of requests, *violations* what was not as described."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, directory: Path, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server_port}"
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.contract = Contract()
        self.state = State(directory, f"{self.url}/{REPOSITORY}", lambda: self.clock())  # noqa: PLW0108 - tests set the clock later
        self.faults: list[Fault] = []
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.violations: list[str] = []
        self.over = threading.Event()
        self.page_size = 50
        self.max_size: int | None = None
        self.private = False
        self.disk_is_full = False

    def plan(self, method: str, path: str, action: Callable[[Exchange], None], **when: Any) -> None:
        """Plan a fault; *when* says which of the requests that match it befalls."""
        self.faults.append(Fault(method, re.compile(path), action, **when))

    def requests(self, method: str, path: str) -> list[str]:
        """Return the targets of requests so far that match."""
        return [target for made, target, _ in self.seen if made == method and re.search(path, target)]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about clients that leave: some tests make them leave."""


class Exchange(http.server.BaseHTTPRequestHandler):
    """One request and its answer."""

    protocol_version = "HTTP/1.1"
    server: Forge

    def setup(self) -> None:
        """Prepare; faults change these."""
        super().setup()
        self.cut_after: int | None = None
        self.keep: int | None = None
        self.silent = self.flip = self.body_read = False
        self.copies = 1
        self.operation: Operation | None = None

    @property
    def forge(self) -> Forge:
        """The server."""
        return self.server

    def handle_any(self) -> None:
        """Carry out a request, or let a fault befall it."""
        self.server.seen.append(
            (self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
        )
        with self.server.state.lock:
            fault = next((one for one in self.server.faults if one.befalls(self.command, self.path)), None)
        if fault is None:
            self.process()
        else:
            fault.action(self)

    def do_GET(self) -> None:
        """Carry out a request."""
        self.handle_any()

    def do_POST(self) -> None:
        """Carry out a request."""
        self.handle_any()

    def do_PATCH(self) -> None:
        """Carry out a request."""
        self.handle_any()

    def do_DELETE(self) -> None:
        """Carry out a request."""
        self.handle_any()

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""

    def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002 - the base's signature
        """Return the server's time."""
        return format_datetime(self.server.clock().astimezone(UTC), usegmt=True)

    # What faults do

    def drain(self) -> None:
        """Read the rest of the request."""
        left = 0 if self.body_read else int(self.headers.get("content-length", 0))
        self.body_read = True
        while left and (chunk := self.rfile.read(min(left, _CHUNK))):
            left -= len(chunk)

    def hang_up(self) -> None:
        """Break the connection, whatever the client still sends."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send an answer that lies in memory."""
        if self.silent:
            self.hang_up()
            return
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | dict(headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body if self.cut_after is None else body[: self.cut_after])
        if self.cut_after is not None and self.cut_after < len(body):
            self.wfile.flush()
            self.hang_up()

    def send_json(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        """Send JSON, after a look at whether it is as described."""
        body = b"" if value is None else json.dumps(value).encode()
        if self.operation is not None:
            try:
                self.server.contract.answer(self.operation, status, body)
            except ContractError as error:
                self.server.violations.append(f"answer: {error}")
        self.send(status, {"Content-Type": "application/json"} | dict(headers or {}), body)

    # What a forge does

    def process(self) -> None:
        """Carry out the request."""
        if urlsplit(self.path).path.startswith(self.server.contract.base + "/"):
            self._api()
        else:
            self._download()

    def _rights(self) -> str:
        given = self.headers.get("authorization", "")
        return {f"token {TOKEN}": "write", f"token {READER}": "read", "": "none"}.get(given, "unknown")

    def _refuse(self, status: int, message: str) -> None:
        self.drain()
        self.send_json(status, {"message": message, "url": f"{self.server.url}/api/swagger"})

    def _api(self) -> None:
        rights = self._rights()
        try:
            self.operation = operation = self.server.contract.request(
                self.command, self.path, self.headers.get("content-type", "")
            )
            if rights == "unknown" or (rights == "none" and self.command != "GET"):
                self._refuse(401, "token is required")
            elif rights == "read" and self.command != "GET":
                self._refuse(403, "user should have a permission to write to a repo")
            elif f"{operation.path['owner']}/{operation.path['repo']}" != REPOSITORY or (
                self.server.private and rights == "none"
            ):
                self._refuse(404, "The target couldn't be found.")
            elif operation.name == "repoCreateReleaseAttachment":
                self._create_attachment(operation)
            else:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                self.body_read = True
                value = json.loads(body) if body else None
                self.server.contract.body(operation, value)
                with self.server.state.lock:
                    getattr(self, f"_{operation.name}")(operation, value, rights == "write")
        except ContractError as error:
            self.server.violations.append(f"request: {error}")
            self.operation = None
            self._refuse(422, str(error))

    def _release(self, operation: Operation, *, writer: bool) -> dict[str, Any] | None:
        release = self.server.state.releases.get(int(operation.path["id"]))
        if release is None or (release["draft"] and not writer):
            self._refuse(404, "The target couldn't be found.")
            return None
        return release

    def _repoListReleases(self, operation: Operation, _: Any, writer: bool) -> None:  # noqa: FBT001, N802 - one table
        state = self.server.state
        shown = [state.release_json(one) for one in state.releases.values() if writer or not one["draft"]][::-1]
        limit = min(int(operation.query.get("limit", 30)), self.server.page_size)
        begin = (int(operation.query.get("page", 1)) - 1) * limit
        self.send_json(200, shown[begin : begin + limit], {"X-Total-Count": str(len(shown))})

    def _repoCreateRelease(self, _: Operation, options: Any, writer: bool) -> None:  # noqa: ARG002, FBT001, N802
        state = self.server.state
        if not options.get("name"):
            self._refuse(422, "title is empty")
        elif state.of_tag(options["tag_name"]):
            self._refuse(409, "Release has no Tag")
        else:
            made = [state.make_release(options) for _ in range(self.copies)]
            self.send_json(201, state.release_json(made[0]))

    def _repoGetRelease(self, operation: Operation, _: Any, writer: bool) -> None:  # noqa: FBT001, N802
        if release := self._release(operation, writer=writer):
            self.send_json(200, self.server.state.release_json(release))

    def _repoEditRelease(self, operation: Operation, changes: Any, writer: bool) -> None:  # noqa: FBT001, N802
        if release := self._release(operation, writer=writer):
            self.server.state.edit_release(release, changes)
            self.send_json(200, self.server.state.release_json(release))

    def _repoListReleaseAttachments(self, operation: Operation, _: Any, writer: bool) -> None:  # noqa: FBT001, N802
        if release := self._release(operation, writer=writer):
            self.send_json(200, self.server.state.release_json(release)["assets"])

    def _asset(self, operation: Operation) -> tuple[dict[str, Any], dict[str, Any]] | None:
        if release := self._release(operation, writer=True):
            for asset in release["assets"]:
                if asset["id"] == int(operation.path["attachment_id"]):
                    return release, asset
            self._refuse(404, "The target couldn't be found.")
        return None

    def _repoEditReleaseAttachment(self, operation: Operation, changes: Any, _: bool) -> None:  # noqa: FBT001, N802
        if found := self._asset(operation):
            found[1]["name"] = changes["name"]
            self.server.state.save()
            self.send_json(201, self.server.state.asset_json(*found))

    def _repoDeleteReleaseAttachment(self, operation: Operation, _: Any, __: bool) -> None:  # noqa: FBT001, N802
        if found := self._asset(operation):
            self.server.state.remove_asset(*found)
            self.send_json(204, None)

    def _repoGetTag(self, operation: Operation, _: Any, __: bool) -> None:  # noqa: FBT001, N802
        if operation.path["tag"] in self.server.state.tags:
            self.send_json(200, self.server.state.tag_json(operation.path["tag"]))
        else:
            self._refuse(404, "The target couldn't be found.")

    def _create_attachment(self, operation: Operation) -> None:
        state = self.server.state
        release = self._release(operation, writer=True)
        if release is None:
            return
        length = int(self.headers["content-length"])
        if self.server.max_size is not None and length > self.server.max_size:
            # A server does not read what it will not keep.
            self.send_json(413, {"message": "file is too large", "url": ""})
            self.hang_up()
            return
        path = state.files / f"upload-{threading.get_ident()}"
        name = self._form(path, length)
        if name is None:
            path.unlink(missing_ok=True)
            self.send_json(400, {"message": "One of 'attachment' or 'external_url' is required", "url": ""})
            return
        if self.server.disk_is_full:
            path.unlink()
            self.send_json(500, {"message": "Create: write attachments/0/1: no space left on device", "url": ""})
            return
        if self.keep is not None or self.flip:
            data = path.read_bytes()[: self.keep]
            path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if self.flip else data)
        with state.lock:
            for _ in range(self.copies - 1):
                copy = path.with_suffix(".copy")
                copy.write_bytes(path.read_bytes())
                state.add_asset(release, operation.query.get("name", name), copy, copy.stat().st_size)
            asset = state.add_asset(release, operation.query.get("name", name), path, path.stat().st_size)
            answer = state.asset_json(release, asset)
        self.send_json(201, answer)

    def _form(self, path: Path, length: int) -> str | None:
        """Write the one file of a form to *path*; return its name, None for another form or one that was cut."""
        boundary = self.headers["content-type"].partition("boundary=")[2].encode()
        tail = b"\r\n--" + boundary + b"--\r\n"
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline(1000)
            if not line:
                return None
            head += line
        named = re.fullmatch(
            rb'--%b\r\nContent-Disposition: form-data; name="attachment"; filename="([^"\r\n]+)"\r\n'
            rb"Content-Type: application/octet-stream\r\n\r\n" % re.escape(boundary),
            head,
        )
        left = length - len(head) - len(tail)
        if named is None or left < 0:
            return None
        with path.open("wb") as file:
            while left:
                chunk = self.rfile.read(min(left, _CHUNK))
                if not chunk:
                    return None
                file.write(chunk)
                left -= len(chunk)
        return named[1].decode() if self.rfile.read(len(tail)) == tail else None

    def _download(self) -> None:
        parts = urlsplit(self.path)
        match = re.fullmatch(rf"/{REPOSITORY}/releases/download/([^/]+)/([^/]+)", parts.path)
        rights = self._rights()
        unknown = set(parse_qs(parts.query)) - {"asset"}
        if unknown:
            self.server.violations.append(f"request: a download with {unknown}")
        found = None
        if match and not (self.server.private and rights in ("none", "unknown")):
            with self.server.state.lock:
                releases = [
                    one for one in self.server.state.of_tag(unquote(match[1])) if rights == "write" or not one["draft"]
                ]
                # Forgejo serves nothing where a tag has two releases.
                assets = releases[0]["assets"] if len(releases) == 1 else []
                found = next((one for one in assets if one["name"] == unquote(match[2])), None)
                file = (self.server.state.files / found["uuid"]).open("rb") if found else None
        if found is None or file is None:
            self.send(404, {"Content-Type": "text/plain"}, b"Not found.\n")
            return
        with file:
            self._send_file(file, found["size"])

    def _send_file(self, file: Any, size: int) -> None:
        begin = 0
        if wanted := _RANGE.fullmatch(self.headers.get("range", "")):
            begin = int(wanted[1])
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        self.send_header("Content-Length", str(size - begin))
        self.end_headers()
        file.seek(begin)
        if self.cut_after is None:
            self.wfile.flush()
            self.connection.sendfile(file, offset=begin)
        else:
            self.wfile.write(file.read(self.cut_after))
            self.wfile.flush()
            self.hang_up()


@contextmanager
def serving(directory: Path, tls: ssl.SSLContext | None = None) -> Iterator[Forge]:
    """Run a forge until the block ends."""
    forge = Forge(directory, tls)
    thread = threading.Thread(target=forge.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield forge
    finally:
        forge.over.set()
        forge.shutdown()
        thread.join()
        forge.server_close()
