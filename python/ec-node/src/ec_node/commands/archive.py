"""`ec-node archive …`: keep segments, and serve what was kept."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
import structlog
from cyclopts import Parameter

from ec_closure.broadcast import BroadcastName
from ec_closure.decoding import excerpt
from ec_closure.errors import UsageError
from ec_node.archive import index
from ec_node.archive.app import application, summary
from ec_node.archive.cas import Objects
from ec_node.archive.follow import Follower
from ec_node.archive.recorder import Archive
from ec_node.client import Remote
from ec_node.clock import Clock
from ec_node.commands.options import Common
from ec_node.config import Config
from ec_node.errors import ArchiveError
from ec_node.publish.server import Server, listen

_MIB = 1 << 20
_MAX_PORT = 65535

log = structlog.get_logger()

Directory = Annotated[Path | None, Parameter(help="The archive's directory [archive.directory in ec-node.toml].")]


def record_archive(
    url: Annotated[str, Parameter(help="The address of a media playlist, such as http://127.0.0.1:8104/a/index.m3u8.")],
    /,
    *,
    name: Annotated[str, Parameter(help="What the broadcast is called in the archive.")],
    directory: Directory = None,
    common: Common = Common(),
) -> int:
    """Keep what a playlist lists, from now on, until it ends or this is stopped. Failures are waited out."""
    config = common.settings()
    root = _root(directory, config)
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise UsageError(f"{excerpt(url)!r} is no address of a playlist")
    root.mkdir(parents=True, exist_ok=True)
    archive = Archive(root, _name(name), keep_free=config.archive.keep_free * _MIB)

    async def work() -> int:
        base, _, last = url.rpartition("/")
        async with Remote(f"{base}/", timeout=config.push.timeout, attempts=config.push.attempts) as remote:
            follower = Follower(remote, last, archive, Clock())
            await follower.run()
            return follower.kept

    try:
        kept = asyncio.run(work())
    finally:
        archive.close()
    sys.stdout.write(f"{kept} segments kept\n")
    return 0


def replay_archive(
    *,
    directory: Directory = None,
    address: Annotated[str, Parameter(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="The port to listen at.")] = 8090,
    common: Common = Common(),
) -> int:
    """Serve an archive: /NAME/vod.m3u8?begin=…&end=… is finished, /NAME/event.m3u8?begin=… still grows."""
    config = common.settings()
    root = _root(directory, config)
    if not 0 <= port <= _MAX_PORT:
        raise UsageError(f"--port {port} is no port", hint="a number up to 65535")
    server = Server(application(root), [listen(address, port)], connections=config.origin.connections)
    log.info("the archive is served", address=address, port=port, directory=str(root))
    asyncio.run(_until_stopped(server))
    return 0


async def _until_stopped(server: Server) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    await server.run()


def list_archive(*, directory: Directory = None, common: Common = Common()) -> int:
    """Print what an archive holds: for each broadcast how much, from when to when, and what is missing in between."""
    root = _root(directory, common.settings())
    found = [summary(path.stem, index.read(path)) for path in sorted((root / "index").glob("*.jsonl"))]
    if common.json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return 0
    for one in found:
        gaps = one["gaps"]
        missing = len(gaps) if isinstance(gaps, list) else 0
        sys.stdout.write(
            f"{excerpt(str(one['broadcast']))}  {one['segments']} segments, {one['bytes']} bytes, "
            f"{one['begin']} to {one['end']}, {missing} gaps\n"
        )
    return 0


def check_archive(*, directory: Directory = None, common: Common = Common()) -> int:
    """Read every object that an index names, and compare it with its name. Exits with 3 when one is not as it was."""
    root = _root(directory, common.settings())
    objects = Objects(root)
    checked: set[str] = set()
    bad = 0
    for path in sorted((root / "index").glob("*.jsonl")):
        found = index.read(path)
        if found.damaged:
            bad += found.damaged
            sys.stdout.write(f"{excerpt(str(path))}: {found.damaged} damaged lines\n")
        for digest in (one for line in found.lines for one in (line.head, line.segment)):
            if digest in checked:
                continue
            checked.add(digest)
            try:
                objects.get(digest)
            except ArchiveError as error:
                bad += 1
                sys.stdout.write(f"{excerpt(str(error))}\n")
    sys.stdout.write(f"{len(checked)} objects, {bad} of them or of the lines damaged\n")
    return 3 if bad else 0


def _root(directory: Path | None, config: Config) -> Path:
    root = directory or (Path(config.archive.directory) if config.archive.directory else None)
    if root is None:
        raise UsageError("no archive is named", hint="--directory, or archive.directory in ec-node.toml")
    return root


def _name(name: str) -> str:
    try:
        return msgspec.convert(name, BroadcastName)
    except msgspec.ValidationError:
        raise UsageError(f"--name {excerpt(name)!r} is no name of a broadcast", hint="a-z, 0-9 and -") from None
