"""The service: one broadcast, its origin, its publishers, and the signals of who runs it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from ec_closure.errors import EcError
from ec_node import config as configuration
from ec_node.archive.recorder import Archive, ArchivePublisher
from ec_node.channel import Channel, target_duration
from ec_node.client import Remote
from ec_node.errors import ConfigError
from ec_node.ffmpeg.command import Program
from ec_node.media.window import Window
from ec_node.metrics import Metrics
from ec_node.publish.local import LocalPublisher
from ec_node.publish.origin import Origin
from ec_node.publish.push import PushPublisher
from ec_node.publish.server import Server, bind, serving
from ec_node.sequence import Sequence
from ec_node.supervise.machine import Limits
from ec_node.supervise.runner import Supervisor

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from ec_closure.broadcast import Broadcast
    from ec_node.clock import Clock
    from ec_node.config import Config
    from ec_node.notify import Notifier
    from ec_node.publish.publisher import Publisher

log = structlog.get_logger()

_MIB = 1 << 20
_LEAVE = 5.0
_HEARTBEAT = 1.0
_FIXED = ("name", "hls", "push", "passthrough")
"""What is settled when the process starts: names, numbers and addresses that players hold."""


class Service:
    """Publishes the broadcast in the file *path* until it is told to stop; with *once*, until its input has ended."""

    def __init__(self, path: Path, config: Config, notifier: Notifier, clock: Clock, *, once: bool = False) -> None:
        self._path = path
        self._config = config
        self._notifier = notifier
        self._clock = clock
        self._once = once
        self._broadcast = configuration.load_broadcast(path)
        self._stopping = asyncio.Event()
        self._segments = 0
        self.metrics = Metrics(self._broadcast.name)
        self.supervisor: Supervisor | None = None

    def stop(self) -> None:
        """End for good."""
        self._stopping.set()
        if self.supervisor is not None:
            self.supervisor.stop()

    def reload(self) -> None:
        """Read the broadcast's file again. What is not valid, or needs another process, changes nothing."""
        self._notifier.reloading(self._clock.monotonic())
        try:
            self._adopt(configuration.load_broadcast(self._path))
        except EcError as error:
            log.warning("the broadcast stays as it was", reason=str(error), hint=error.hint)
        self._notifier.ready()

    async def run(self) -> None:
        """Work. Raises `EcError` when it cannot begin."""
        broadcast, config = self._broadcast, self._config
        sockets = bind(config.origin, broadcast)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(_close, sockets)
            numbers = Sequence(config.state / "sequence" / broadcast.name)
            first, cuts = numbers.first(self._clock.wall(), broadcast.hls.segment)
            local = LocalPublisher(self._window(first, cuts), self.metrics, numbers.used)
            publishers: list[Publisher] = [local]
            channel = Channel(
                broadcast,
                Program(config.ffmpeg.ffmpeg, config.ffmpeg.ffprobe),
                publishers,
                self.metrics,
                self._clock,
                self._aired,
            )
            if config.archive.directory:
                publishers.append(self._archive(stack))
            if broadcast.push is not None:
                publishers.append(await self._push(stack, (first, cuts), channel))
            origin = Origin(
                broadcast.name,
                local,
                self.metrics,
                segment=broadcast.hls.segment,
                allow_origin=config.origin.allow_origin,
                healthy=channel.trouble,
                bandwidth=channel.bandwidth,
            )
            server = Server(origin, sockets, connections=config.origin.connections)
            self.supervisor = Supervisor(channel, self._limits(), self._clock)
            self._channel = channel
            log.info("the broadcast begins", broadcast=broadcast.name, input=broadcast.input, first=first)
            await self._work(self.supervisor, server, publishers)

    async def _work(self, supervisor: Supervisor, server: Server, publishers: list[Publisher]) -> None:
        helpers = [asyncio.create_task(one.run()) for one in publishers]
        helpers += [asyncio.create_task(self._heartbeat()), asyncio.create_task(serving(server))]
        helpers.append(asyncio.create_task(self._broadcasting(supervisor, publishers)))
        with self._signals():
            try:
                done, _ = await asyncio.wait(helpers, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    await task
            finally:
                self._notifier.stopping()
                for task in helpers:
                    task.cancel()
                await asyncio.gather(*helpers, return_exceptions=True)

    async def _broadcasting(self, supervisor: Supervisor, publishers: list[Publisher]) -> None:
        await supervisor.run()
        await self._leave(publishers)

    async def _leave(self, publishers: list[Publisher]) -> None:
        """After the last run: say so in playlists if the input has ended, and let what waits go out."""
        if not self._stopping.is_set():
            for publisher in publishers:
                publisher.end()
            log.info("the input has ended", segments=self._segments)
            self._notifier.status(f"the input has ended: {self._segments} segments")
        try:
            async with asyncio.timeout(_LEAVE):
                await asyncio.gather(*(publisher.drain() for publisher in publishers))
        except TimeoutError:
            log.warning("not everything went out before the end")
        if not self._once:
            await self._stopping.wait()

    def _aired(self) -> None:
        self._segments += 1
        if self.supervisor is not None:
            self.supervisor.advanced()
        if self._segments == 1:
            self._notifier.ready()
        again = round(self.metrics.value("runs")) - 1
        self._notifier.status(f"on air: {self._segments} segments, {again} times begun again")

    async def _heartbeat(self) -> None:
        """Tell systemd that the loop turns. That a broadcast is well is the supervisor's business."""
        watchdog = self._notifier.watchdog
        pause = min(_HEARTBEAT, watchdog / 3) if watchdog is not None else _HEARTBEAT
        while True:
            if watchdog is not None:
                self._notifier.alive()
            await asyncio.sleep(pause)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        handlers = {signal.SIGTERM: self.stop, signal.SIGINT: self.stop, signal.SIGHUP: self.reload}
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                loop.remove_signal_handler(number)

    def _adopt(self, new: Broadcast) -> None:
        old = self._broadcast
        if new == old:
            log.info("nothing has changed")
            return
        fixed = [key for key in _FIXED if getattr(new, key) != getattr(old, key)]
        if fixed:
            raise ConfigError(
                "needs another process", place=f"{self._path}: {', '.join(fixed)}", hint="restart the unit"
            )
        self._broadcast = new
        self._channel.replace(new)
        if self.supervisor is not None:
            self.supervisor.set_limits(self._limits())
            self.supervisor.restart()
        log.info("the broadcast goes on with other settings")

    def _window(self, first: int, cuts: int) -> Window:
        broadcast = self._broadcast
        return Window(
            size=broadcast.hls.window,
            target=target_duration(broadcast),
            first=first,
            cuts=cuts,
            max_bytes=self._config.origin.memory * _MIB,
        )

    def _archive(self, stack: contextlib.AsyncExitStack) -> ArchivePublisher:
        table = self._config.archive
        archive = Archive(Path(table.directory), self._broadcast.name, keep_free=table.keep_free * _MIB)
        stack.callback(archive.close)
        return ArchivePublisher(archive, self.metrics)

    async def _push(self, stack: contextlib.AsyncExitStack, first: tuple[int, int], channel: Channel) -> PushPublisher:
        push, table = self._broadcast.push, self._config.push
        remote = await stack.enter_async_context(
            Remote(
                push.url if push is not None else "",
                token=configuration.push_token(self._broadcast),
                timeout=table.timeout,
                attempts=table.attempts,
                ca_file=Path(table.ca_file) if table.ca_file else None,
            )
        )
        return PushPublisher(remote, self._window(*first), self.metrics, queue=table.queue, bandwidth=channel.bandwidth)

    def _limits(self) -> Limits:
        table = self._config.supervision
        return Limits(
            start=max(table.start, self._broadcast.stall),
            stall=self._broadcast.stall,
            output=self._broadcast.stall + 2 * target_duration(self._broadcast),
            grace=table.grace,
            base=table.backoff,
            cap=table.backoff_cap,
        )


def _close(sockets: list[socket.socket]) -> None:
    for one in sockets:
        one.close()
