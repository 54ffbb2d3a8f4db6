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
        # What waits for the window to open; see the agent's proto.rs.
        self._output = bytearray()
        self._window: int | None = None

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
        if kind == frames.RECEIVED:
            self._window += frames.NUMBER.unpack(payload)[0]
            self._flush()
        elif kind == frames.HELLO and not self.hello.done():
            hello = json.loads(payload)
            self._window = hello["window"]
            self.hello.set_result(hello)
        elif kind == frames.CONFIGURED and not self._configured.done():
            self._configured.set_result(json.loads(payload))
        elif stream in self._handlers:
            handler = self._handlers[stream]
            if kind == frames.EXIT:
                del self._handlers[stream]
            handler(kind, payload)

    def send(self, kind: int, stream: int, payload: bytes | dict | int = b"") -> None:
        self._output += frames.encode(kind, stream, payload)
        self._flush()

    def _flush(self) -> None:
        if self._window is None:
            data, self._output = self._output, bytearray()
        else:
            data, self._output = self._output[:self._window], self._output[self._window:]
            self._window -= len(data)
        if self._transport and data:
            self._transport.write(data)

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
