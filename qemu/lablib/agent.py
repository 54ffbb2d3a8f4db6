# SPDX-License-Identifier: GPL-2.0
"""The channel into a machine: commands by stream number."""

import asyncio
import json
from collections.abc import Callable

from . import LabError, frames

Handler = Callable[[int, bytes], None]


class AgentChannel(asyncio.Protocol):
    """Speaks with qemu/init over a socket. Stream handlers get every frame of
    their stream, EXIT last; when the machine goes away they get EXIT too."""

    def __init__(self) -> None:
        self.hello: asyncio.Future[dict] = asyncio.get_running_loop().create_future()
        self._configured: asyncio.Future[dict] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._decoder = frames.Decoder()
        self._before_magic: bytearray | None = bytearray()
        self._handlers: dict[int, Handler] = {}
        self._stream = 0

    def connection_made(self, transport):
        self._transport = transport

    def connection_lost(self, error):
        self._transport = None
        gone = LabError("the machine went away")
        for future in (self.hello, self._configured):
            if not future.done():
                future.set_exception(gone)
                future.exception()  # Nobody may be waiting: that is no error.
        handlers, self._handlers = self._handlers, {}
        for handler in handlers.values():
            handler(frames.EXIT, json.dumps({"error": str(gone), "gone": True}).encode())

    def data_received(self, data):
        if self._before_magic is not None:
            self._before_magic += data
            start = self._before_magic.find(frames.MAGIC)
            if start < 0:
                return
            data = bytes(self._before_magic[start + len(frames.MAGIC):])
            self._before_magic = None
        try:
            for kind, stream, payload in self._decoder.feed(data):
                self._handle(kind, stream, payload)
        except ValueError:
            self._transport.abort()

    def _handle(self, kind: int, stream: int, payload: bytes) -> None:
        if kind == frames.HELLO and not self.hello.done():
            self.hello.set_result(json.loads(payload))
        elif kind == frames.CONFIGURED and not self._configured.done():
            self._configured.set_result(json.loads(payload))
        elif stream in self._handlers:
            handler = self._handlers[stream]
            if kind == frames.EXIT:
                del self._handlers[stream]
            handler(kind, payload)

    def send(self, kind: int, stream: int, payload: bytes | dict | int = b"") -> None:
        if self._transport:
            self._transport.write(frames.encode(kind, stream, payload))

    async def configure(self, wanted: dict) -> None:
        hello = await self.hello
        if hello["protocol"] != frames.PROTOCOL:
            raise LabError(f"PID 1 speaks protocol {hello['protocol']}, the lab {frames.PROTOCOL}")
        self.send(frames.CONFIGURE, 0, wanted)
        answer = await self._configured
        if answer["error"]:
            raise LabError(answer["error"])

    def exec(self, request: dict, handler: Handler) -> int:
        """Start a command; the stream number for further frames is returned."""
        self._stream += 1
        self._handlers[self._stream] = handler
        self.send(frames.EXEC, self._stream, request)
        return self._stream

    def abandon(self, stream: int) -> None:
        """Nobody listens any more: kill the command and swallow what it says."""
        if stream in self._handlers:
            self._handlers[stream] = lambda _kind, _payload: None
            self.send(frames.SIGNAL, stream, 9)
            self.send(frames.CREDIT, stream, 1 << 30)

    @property
    def alive(self) -> bool:
        return self._transport is not None
