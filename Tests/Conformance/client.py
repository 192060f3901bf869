"""A raw gRPC client connection that keeps what every stream received, and can flood while it reads."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hpack import Decoder, Encoder

import frames
from frames import FrameParser

Fields = list[tuple[str | bytes, str | bytes]]

# What the decoder takes before it calls a header list an attack; the suites look at large ones.
MAX_HEADER_LIST = 4 * 1024 * 1024

# Payload of the PINGs whose acknowledgement says: all before this has been consumed.
BARRIER = b"barrier\0"


def message(payload: bytes) -> bytes:
    """One gRPC message on the wire: not compressed, with its length."""
    return struct.pack("!BI", 0, len(payload)) + payload


@dataclass
class Response:
    """All that came on one stream."""

    informational: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    field_count: int = 0
    body: bytearray = field(default_factory=bytearray)
    trailers: dict[str, str] = field(default_factory=dict)
    ended: bool = False
    reset: int | None = None
    finished_at: float = 0.0

    @property
    def done(self) -> bool:
        return self.ended or self.reset is not None

    @property
    def http_status(self) -> int:
        return int(self.headers.get(":status", "0"))

    @property
    def trailers_only(self) -> bool:
        return self.ended and "grpc-status" in self.headers and not self.body

    @property
    def grpc_status(self) -> int | None:
        value = self.trailers.get("grpc-status", self.headers.get("grpc-status"))
        return int(value) if value is not None else None

    @property
    def grpc_message(self) -> str:
        return self.trailers.get("grpc-message", self.headers.get("grpc-message", ""))

    def __str__(self) -> str:
        parts = [f"status {self.headers[':status']}"] if ":status" in self.headers else []
        if self.grpc_status is not None:
            where = "trailers-only " if self.trailers_only else ""
            parts.append(f"{where}grpc-status {self.grpc_status} \"{self.grpc_message}\"")
        if self.body:
            parts.append(f"{len(self.body)} bytes of body")
        if self.reset is not None:
            parts.append(f"RST_STREAM({frames.error_name(self.reset)})")
        elif self.ended:
            parts.append("END_STREAM")
        return ", ".join(parts) or "no answer"


class GRPCConnection:
    """One connection. `read` dispatches frames into `responses`; SETTINGS and PING are acknowledged."""

    def __init__(self, host: str, port: int, path: str, initial_window: int | None = None,
                 credit: bool = True, timeout: float = 5.0) -> None:
        self.path = path
        self.authority = f"{host}:{port}"
        self.responses: dict[int, Response] = {}
        self.goaways: list[frames.Frame] = []
        self.settings: dict[int, int] = {}
        self.closed = ""
        self.barriers = 0
        self.next_stream = 1
        self._credit = credit
        self._timeout = timeout
        self._encoder = Encoder()
        self._decoder = Decoder(max_header_list_size=MAX_HEADER_LIST)
        self._parser = FrameParser()
        self._block = bytearray()
        self._block_ends_stream = False
        self._unsent = bytearray()
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        window = () if initial_window is None else ((frames.INITIAL_WINDOW_SIZE, initial_window),)
        self.send(frames.PREFACE + frames.settings(*window))
        if credit:
            self.send(frames.window_update(0, 2**30))
        if not self.wait(lambda: bool(self.settings) or self.closed != ""):
            self.closed = self.closed or "no SETTINGS"

    def __enter__(self) -> GRPCConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    # --- sending

    def send(self, data: bytes) -> None:
        """Queues and writes; `read` writes what the socket did not take."""
        self._unsent += data
        self._write()

    def _write(self) -> None:
        while self._unsent and not self.closed:
            try:
                sent = self.socket.send(self._unsent[:262_144])
            except BlockingIOError:
                return
            except OSError as error:
                # What the peer said before it went away may still wait to be read.
                self._unsent.clear()
                self._drain()
                self.closed = self.closed or f"write: {error.strerror}"
                return
            del self._unsent[:sent]

    @property
    def unsent(self) -> int:
        return len(self._unsent)

    def fields(self, extra: Fields = [], replace: dict[str, str | bytes | None] = {}) -> Fields:
        """The fields of a gRPC request; `replace` changes one by name or, with None, leaves it out."""
        plain: Fields = [(":method", "POST"), (":scheme", "http"), (":path", self.path),
                         (":authority", self.authority), ("content-type", "application/grpc"), ("te", "trailers")]
        kept: Fields = []
        for name, value in plain:
            changed = replace.get(name, value)
            if changed is not None:
                kept.append((name, changed))
        return kept + list(extra)

    def encode(self, fields: Fields, huffman: bool = True) -> bytes:
        return self._encoder.encode(fields, huffman=huffman)

    def new_stream(self) -> int:
        stream = self.next_stream
        self.next_stream += 2
        self.responses[stream] = Response()
        return stream

    def opening(self, extra: Fields = [], replace: dict[str, str | bytes | None] = {},
                end_stream: bool = False) -> tuple[int, bytes]:
        """A new stream and its HEADERS frame, not yet sent."""
        stream = self.new_stream()
        return stream, frames.headers(stream, self.encode(self.fields(extra, replace)), end_stream)

    def request(self, extra: Fields = [], replace: dict[str, str | bytes | None] = {},
                body: bytes | None = message(b"hello"), end_stream: bool = True) -> int:
        """Sends a request; without a body it ends with its HEADERS when `end_stream`."""
        stream, opening = self.opening(extra, replace, end_stream and body is None)
        self.send(opening + (frames.data(stream, body, end_stream) if body is not None else b""))
        return stream

    def call(self, extra: Fields = [], timeout: float = 5.0, **arguments) -> Response:
        """A request and all of its response."""
        stream = self.request(extra, **arguments)
        response = self.responses[stream]
        self.wait(lambda: response.done or self.closed != "", timeout)
        return response

    # --- receiving

    @property
    def goaway_codes(self) -> list[int]:
        return [frame.error_code for frame in self.goaways]

    def read(self, timeout: float) -> bool:
        """Waits for the socket once and handles what came. False when nothing came or the connection is over."""
        if self.closed:
            return False
        readable, writable, _ = select.select([self.socket], [self.socket] if self._unsent else [], [], timeout)
        if writable:
            self._write()
        if readable:
            self._drain()
        return bool(readable or writable)

    def wait(self, satisfied: Callable[[], bool], timeout: float | None = None) -> bool:
        """Reads until the condition holds; False when time or the connection ends first."""
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        while not satisfied():
            left = deadline - time.monotonic()
            if left <= 0 or self.closed:
                return False
            self.read(left)
        return True

    def answers(self, timeout: float = 5.0) -> bool:
        """A PING round trip: true when the server has consumed everything sent so far."""
        before = self.barriers
        self.send(frames.ping(BARRIER))
        return self.wait(lambda: self.barriers > before, timeout)

    def _drain(self) -> None:
        while not self.closed:
            try:
                received = self.socket.recv(262_144)
            except BlockingIOError:
                return
            except OSError as error:
                self.closed = f"read: {error.strerror}"
                return
            if not received:
                self.closed = "closed by the server"
                return
            for frame in self._parser.feed(received):
                self._handle(frame)

    def _handle(self, frame: frames.Frame) -> None:
        if frame.type == frames.SETTINGS:
            if not frame.ack:
                self.settings.update(frame.settings() or [(0, 0)])
                self.send(frames.settings(ack=True))
        elif frame.type == frames.PING:
            if frame.ack:
                self.barriers += frame.payload == BARRIER
            else:
                self.send(frames.ping(frame.payload, ack=True))
        elif frame.type == frames.GOAWAY:
            self.goaways.append(frame)
        elif frame.type in (frames.HEADERS, frames.CONTINUATION):
            if frame.type == frames.HEADERS:
                self._block_ends_stream = frame.end_stream
            self._block += frame.body()
            if frame.flags & frames.END_HEADERS:
                self._header_block(frame.stream)
        elif frame.type == frames.DATA:
            self._data(frame)
        elif frame.type == frames.RST_STREAM:
            response = self.responses.setdefault(frame.stream, Response())
            if response.reset is None:
                response.reset = frame.error_code
                response.finished_at = response.finished_at or time.monotonic()

    def _header_block(self, stream: int) -> None:
        decoded = self._decoder.decode(bytes(self._block), raw=True)
        self._block.clear()
        # Latin-1 keeps every byte, so that a value can be compared byte by byte.
        fields = {bytes(name).decode("latin-1"): bytes(value).decode("latin-1") for name, value in decoded}
        response = self.responses.setdefault(stream, Response())
        if not self._block_ends_stream and len(fields.get(":status", "")) == 3 and fields[":status"][0] == "1":
            response.informational += 1
            return
        if response.headers:
            response.trailers = fields
        else:
            response.headers = fields
            response.field_count = len(decoded)
        if self._block_ends_stream:
            self._end(response)

    def _data(self, frame: frames.Frame) -> None:
        response = self.responses.setdefault(frame.stream, Response())
        response.body += frame.body()
        if self._credit and frame.payload:
            self.send(frames.window_update(0, len(frame.payload)))
            if not frame.end_stream:
                self.send(frames.window_update(frame.stream, len(frame.payload)))
        if frame.end_stream:
            self._end(response)

    @staticmethod
    def _end(response: Response) -> None:
        response.ended = True
        response.finished_at = time.monotonic()


@dataclass
class FloodResult:
    """How a flood ended: units sent, and whether the server ended the connection."""

    sent: int
    over: bool
    stalled: bool = False


def flood(connection: GRPCConnection, units: Iterable[bytes], batch: int = 200, barrier: bool = True) -> FloodResult:
    """Sends units in batches, reading all the while, until they are used up or the server ends the connection.

    With a barrier the next batch goes out only when the server has answered a PING behind the last one, so `sent` is
    what the server has consumed, give or take a batch, and not what the kernel's buffers swallowed.
    """
    def ended() -> bool:
        return connection.closed != "" or any(code != frames.NO_ERROR for code in connection.goaway_codes)

    sent = 0
    pending = bytearray()
    in_batch = 0
    for unit in units:
        pending += unit
        in_batch += 1
        if in_batch < batch:
            continue
        connection.send(bytes(pending))
        sent += in_batch
        pending.clear()
        in_batch = 0
        if barrier:
            before = connection.barriers
            connection.send(frames.ping(BARRIER))
            if not connection.wait(lambda: ended() or connection.barriers > before, 10) and not ended():
                return FloodResult(sent, over=False, stalled=True)
        elif not connection.wait(lambda: ended() or connection.unsent == 0, 10) and not ended():
            return FloodResult(sent, over=False, stalled=True)
        else:
            connection.read(0)
        if ended():
            # The GOAWAY may be followed by the close; give it a moment so that the verdict sees both.
            connection.wait(lambda: connection.closed != "", 2)
            return FloodResult(sent, over=True)
    connection.send(bytes(pending))
    connection.wait(ended, 0.5)
    return FloodResult(sent + in_batch, over=ended())
