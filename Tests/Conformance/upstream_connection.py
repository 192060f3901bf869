"""The machinery of the scripted upstream: connections, flow control, the pieces of a response, the ledger."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Coroutine
from dataclasses import dataclass, field

from hpack import Decoder, Encoder

import frames
from client import MAX_HEADER_LIST, message
from frames import FrameParser

Fields = list[tuple[str | bytes, str | bytes]]

OK_HEADERS: Fields = [(":status", "200"), ("content-type", "application/grpc")]


@dataclass
class Ledger:
    """What happened to one `x-request-id`."""

    attempts: int = 0
    executions: int = 0
    resets: list[int] = field(default_factory=list)
    connections_lost: int = 0
    # Of each attempt: where and when (seconds) it came, and the fields that differ from attempt to attempt.
    seen: list[dict[str, object]] = field(default_factory=list)

    def note(self, port: int, fields: dict[str, str]) -> None:
        self.attempts += 1
        self.seen.append({"port": port, "at": time.monotonic(), "timeout": fields.get("grpc-timeout", ""),
                          "previous": fields.get("grpc-previous-rpc-attempts", "")})

    def json(self) -> dict[str, object]:
        return {"attempts": self.attempts, "executions": self.executions, "resets": self.resets,
                "connections_lost": self.connections_lost, "seen": self.seen}


class Memory:
    """Shared by all endpoints and connections."""

    def __init__(self) -> None:
        self.ledgers: dict[str, Ledger] = defaultdict(Ledger)
        self.connections: set[Connection] = set()
        self.accepted = 0
        self.mode: list[str] = ["normal"]

    def stats(self, request: str | None = None) -> str:
        if request is not None:
            return json.dumps(self.ledgers[request].json())
        return json.dumps({"accepted": self.accepted, "open": len(self.connections),
                           "requests": {name: ledger.json() for name, ledger in self.ledgers.items()}})

    def restart(self, mode: list[str]) -> None:
        """New connections are accepted in this mode; the present ones end when their streams have."""
        self.mode = mode
        for connection in list(self.connections):
            connection.finish(frames.NO_ERROR)


@dataclass(eq=False)
class Exchange:
    """One request as far as it has arrived, and the window for its response."""

    stream: int
    fields: dict[str, str]
    fault: str
    arguments: list[str]
    ledger: Ledger
    window: int
    body: bytearray = field(default_factory=bytearray)
    complete: bool = False
    gone: bool = False
    room: asyncio.Event = field(default_factory=asyncio.Event)

    def number(self, position: int, default: int) -> int:
        return int(self.arguments[position]) if position < len(self.arguments) else default


class Connection(asyncio.Protocol):
    """Server side of one connection. Frames go out as they are asked for; nothing checks whether that is legal."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.mode = memory.mode
        self.exchanges: dict[int, Exchange] = {}
        self.encoder = Encoder()
        self.decoder = Decoder(max_header_list_size=MAX_HEADER_LIST)
        self.parser = FrameParser()
        self.preface = bytearray()
        self.window = frames.DEFAULT_WINDOW
        self.initial_window = frames.DEFAULT_WINDOW
        self.room = asyncio.Event()
        self.last_stream = 0
        self.leaving = False
        self.block = bytearray()
        self.block_ends_stream = False
        self.tasks: set[asyncio.Task] = set()

    # --- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.memory.connections.add(self)
        self.memory.accepted += 1
        match self.mode:
            case ["normal"]:
                self.write(frames.settings((frames.MAX_CONCURRENT_STREAMS, 1000), (frames.MAX_HEADER_LIST_SIZE, 2**20)))
            case ["max-streams", count]:
                self.write(frames.settings((frames.MAX_CONCURRENT_STREAMS, int(count))))
            case ["zero-window"]:
                self.write(frames.settings((frames.INITIAL_WINDOW_SIZE, 0)))
            case ["no-settings"]:
                pass
            case ["silent"]:
                transport.pause_reading()
            case _:
                print(f"unknown connection mode {self.mode}", file=sys.stderr)

    def connection_lost(self, _: Exception | None) -> None:
        self.memory.connections.discard(self)
        for exchange in self.exchanges.values():
            if not exchange.gone:
                exchange.ledger.connections_lost += 1
        for task in self.tasks:
            task.cancel()

    def data_received(self, received: bytes) -> None:
        if len(self.preface) < len(frames.PREFACE):
            need = len(frames.PREFACE) - len(self.preface)
            self.preface += received[:need]
            received = received[need:]
        for frame in self.parser.feed(received):
            self.handle(frame)

    def finish(self, code: int) -> None:
        """GOAWAY that covers what has arrived; the connection closes with its last stream, or soon."""
        self.write(frames.goaway(self.last_stream, code))
        self.leaving = True
        self.close_if_leaving()

    def close_if_leaving(self) -> None:
        if self.leaving and not self.exchanges:
            # Late, so that the peer reads the GOAWAY before a write of its own can fail.
            asyncio.get_running_loop().call_later(0.1, self.transport.close)

    def write(self, *chunks: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"".join(chunks))

    def handle(self, frame: frames.Frame) -> None:
        exchange = self.exchanges.get(frame.stream)
        if frame.type == frames.SETTINGS and not frame.ack:
            for identifier, value in frame.settings():
                if identifier == frames.INITIAL_WINDOW_SIZE:
                    for other in self.exchanges.values():
                        other.window += value - self.initial_window
                        other.room.set()
                    self.initial_window = value
                elif identifier == frames.HEADER_TABLE_SIZE:
                    self.encoder.header_table_size = min(value, 4096)
            if self.mode != ["no-settings"]:
                self.write(frames.settings(ack=True))
        elif frame.type == frames.PING and not frame.ack:
            self.write(frames.ping(frame.payload, ack=True))
        elif frame.type in (frames.HEADERS, frames.CONTINUATION):
            if frame.type == frames.HEADERS:
                self.block_ends_stream = frame.end_stream
            self.block += frame.body()
            if frame.flags & frames.END_HEADERS:
                fields = self.decoder.decode(bytes(self.block), raw=True)
                self.block.clear()
                self.headers_complete(frame.stream, fields)
        elif frame.type == frames.DATA:
            if frame.payload:
                self.write(frames.window_update(0, len(frame.payload)),
                           b"" if frame.end_stream else frames.window_update(frame.stream, len(frame.payload)))
            if exchange is not None:
                exchange.body += frame.body()
                if frame.end_stream:
                    self.end_of_request(exchange)
        elif frame.type == frames.WINDOW_UPDATE:
            increment = int.from_bytes(frame.payload, "big") & frames.MAX_WINDOW
            if frame.stream == 0:
                self.window += increment
                self.room.set()
            elif exchange is not None:
                exchange.window += increment
                exchange.room.set()
        elif frame.type == frames.RST_STREAM and exchange is not None:
            exchange.ledger.resets.append(frame.error_code)
            self.forget(exchange)

    def headers_complete(self, stream: int, decoded: Fields) -> None:
        existing = self.exchanges.get(stream)
        if existing is not None:
            self.end_of_request(existing)
            return
        fields = {bytes(name).decode("latin-1"): bytes(value).decode("latin-1") for name, value in decoded}
        _, _, suffix = fields.get(":path", "").partition("~")
        ledger = self.memory.ledgers[fields.get("x-request-id", "-")]
        # One for all attempts, or one for each: `first|second|all others`.
        script = (fields.get("x-fault") or suffix or "ok").split("|")
        fault, *arguments = script[min(ledger.attempts, len(script) - 1)].split(":")
        exchange = Exchange(stream, fields, fault, arguments, ledger, self.initial_window)
        self.exchanges[stream] = exchange
        self.last_stream = max(self.last_stream, stream)
        ledger.note(self.transport.get_extra_info("sockname")[1], fields)
        self.request_started(exchange)
        if self.block_ends_stream:
            self.end_of_request(exchange)

    def end_of_request(self, exchange: Exchange) -> None:
        exchange.complete = True
        self.request_complete(exchange)

    def request_started(self, exchange: Exchange) -> None:
        """The headers of a request have arrived."""
        raise NotImplementedError

    def request_complete(self, exchange: Exchange) -> None:
        """The end of a request has arrived."""
        raise NotImplementedError

    def run(self, behaviour: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(behaviour)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def forget(self, exchange: Exchange) -> None:
        exchange.gone = True
        exchange.room.set()
        self.exchanges.pop(exchange.stream, None)
        self.close_if_leaving()

    # --- pieces of a response

    def headers(self, exchange: Exchange, fields: Fields, end_stream: bool = False) -> None:
        """A header block, in as many frames as it needs."""
        if exchange.gone:
            return
        block = self.encoder.encode(fields, huffman=False)
        size = frames.DEFAULT_FRAME_SIZE
        pieces = [block[at:at + size] for at in range(0, len(block), size)]
        self.write(frames.headers(exchange.stream, pieces[0], end_stream, end_headers=len(pieces) == 1))
        for index, piece in enumerate(pieces[1:], 2):
            self.write(frames.continuation(exchange.stream, piece, end_headers=index == len(pieces)))
        if end_stream:
            self.forget(exchange)

    async def body(self, exchange: Exchange, payload: bytes, end_stream: bool = False) -> None:
        """DATA within the peer's windows."""
        at = 0
        while at < len(payload) and not exchange.gone:
            size = min(frames.DEFAULT_FRAME_SIZE, self.window, exchange.window, len(payload) - at)
            if size <= 0:
                blocked = self.room if self.window <= 0 else exchange.room
                blocked.clear()
                await blocked.wait()
                continue
            self.window -= size
            exchange.window -= size
            last = end_stream and at + size == len(payload)
            self.write(frames.data(exchange.stream, payload[at:at + size], last))
            at += size
        if end_stream:
            self.forget(exchange)

    def trailers(self, exchange: Exchange, status: int = 0, text: str | bytes = "") -> None:
        fields: Fields = [("grpc-status", str(status))]
        self.headers(exchange, fields + ([("grpc-message", text)] if text else []), end_stream=True)

    def reset(self, exchange: Exchange, code: int) -> None:
        self.write(frames.rst_stream(exchange.stream, code))
        self.forget(exchange)

    async def respond(self, exchange: Exchange, extra: Fields = []) -> None:
        """The good answer: what was sent comes back."""
        self.headers(exchange, OK_HEADERS + extra)
        await self.body(exchange, bytes(exchange.body) or message(b"ok"))
        self.trailers(exchange)
