"""`ec-node check`: are the files valid, and does the input hold what they expect."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from ec_closure import broadcast_input
from ec_closure.decoding import excerpt
from ec_closure.errors import UsageError
from ec_node import config as configuration
from ec_node.commands.options import Common
from ec_node.discover import host_of
from ec_node.ffmpeg import command
from ec_node.ffmpeg.command import Program
from ec_node.ffmpeg.probe import Probed, probe


def check(
    *,
    broadcast: Annotated[Path | None, Parameter(help="The file of a broadcast.")] = None,
    probing: Annotated[
        bool, Parameter(name="--input", help="Open the input, too, and say what it holds.", negative=())
    ] = False,
    common: Common = Common(),
) -> int:
    """Check ec-node.toml and a broadcast. Nothing is opened, asked or written, unless --input is given."""
    config = common.settings()
    if broadcast is None:
        if probing:
            raise UsageError("--input goes with --broadcast")
        sys.stdout.write(f"{excerpt(str(common.config or configuration.DEFAULT_PATH))} is valid\n")
        return 0
    described = configuration.load_broadcast(broadcast)
    source = broadcast_input.parse(described.input)
    found: Probed | None = None
    if probing:
        host = host_of(source)
        program = Program(config.ffmpeg.ffmpeg, config.ffmpeg.ffprobe)
        found = asyncio.run(probe(program, described, source, command.address(source, host)))
    if common.json:
        result = {"broadcast": described.name, "input": described.input, "streams": found.streams if found else None}
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
        return 0
    sys.stdout.write(f"{excerpt(str(broadcast))} is valid: {described.name} from {excerpt(described.input)}\n")
    for stream in found.streams if found is not None else ():
        size = f" {stream.width}x{stream.height}" if stream.width else ""
        sound = f" {stream.channels} channels" if stream.channels else ""
        sys.stdout.write(f"  {excerpt(stream.codec_type, 20)}: {excerpt(stream.codec_name, 40)}{size}{sound}\n")
    return 0
