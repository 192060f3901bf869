"""A raw HTTP/2 client connection for the conformance cases: it sends any bytes and reports what comes back."""

from __future__ import annotations

import socket
import time
from collections import deque
from dataclasses import dataclass

from hpack import Encoder

import frames
from frames import Frame, FrameParser

HeaderList = list[tuple[str, str]]


@dataclass(frozen=True)
class Target:
    """The server under test."""

    host: str
    port: int
    path: str = "/"
    timeout: float = 2.0

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 80 else f"{host}:{self.port}"


@dataclass(frozen=True)
class Event:
    """What one wait brought: a frame, the end of the connection, silence, or bytes that are no frame."""

    kind: str
    frame: Frame | None = None
    text: str = ""

    def is_frame(self, type: int) -> bool:
        return self.frame is not None and self.frame.type == type

    def __str__(self) -> str:
        return str(self.frame) if self.frame else self.text


TIMEOUT = Event("timeout", text="nothing within the timeout")
CLOSED = Event("closed", text="connection closed")


class HandshakeError(Exception):
    """The exchange of SETTINGS and their acknowledgements did not finish."""


class Connection:
    """One TCP connection to the server under test."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.closed = False
        self.settings: dict[int, int] = {}
        self._encoder = Encoder()
        self._parser = FrameParser()
        self._frames: deque[Frame] = deque()
        self._windows: dict[int, int] = {0: frames.DEFAULT_WINDOW}
        self._socket = socket.create_connection((target.host, target.port), target.timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    # --- sending

    def send(self, *chunks: bytes) -> None:
        """All in one write: a pause between two frames would let the server finish the stream whose state the case
        is about. A peer that has gone away is noticed by the next wait, not here."""
        try:
            self._socket.sendall(b"".join(chunks))
        except OSError:
            return

    def handshake(self, *entries: tuple[int, int]) -> None:
        """Exchanges prefaces and waits for the server's SETTINGS and for the ACK of ours."""
        self.send(frames.PREFACE)
        self.send(frames.settings(*(entries or ((frames.INITIAL_WINDOW_SIZE, frames.DEFAULT_WINDOW),))))
        deadline = time.monotonic() + self.target.timeout
        acknowledged = received = False
        while not (acknowledged and received):
            event = self.wait(deadline)
            if event.frame is None:
                raise HandshakeError(f"no SETTINGS exchange: {event}")
            if event.frame.type != frames.SETTINGS:
                continue
            if event.frame.ack:
                acknowledged = True
            else:
                received = True
                self.settings.update(event.frame.settings())
                self.send(frames.settings(ack=True))

    def encode(self, fields: HeaderList) -> bytes:
        """HPACK with this connection's dynamic table, so a repeated field becomes an index."""
        return self._encoder.encode(fields)

    def request(self, method: str = "GET", extra: HeaderList | None = None) -> HeaderList:
        fields = [(":method", method), (":scheme", "http"), (":path", self.target.path),
                  (":authority", self.target.authority)]
        return fields + (extra or [])

    def dummy(self, count: int = 1) -> HeaderList:
        """Fields of 4,000 bytes each, to make header blocks large."""
        return [(f"x-dummy{index}", "x" * 4000) for index in range(count)]

    def opening(self, stream: int = 1, method: str = "GET", extra: HeaderList | None = None,
                end_stream: bool = True, end_headers: bool = True) -> bytes:
        """The HEADERS frame of a request, to be sent with what follows it."""
        return frames.headers(stream, self.encode(self.request(method, extra)), end_stream, end_headers)

    def send_request(self, stream: int = 1, method: str = "GET", extra: HeaderList | None = None) -> None:
        self.send(self.opening(stream, method, extra))

    @property
    def max_frame_size(self) -> int:
        return self.settings.get(frames.MAX_FRAME_SIZE, frames.DEFAULT_FRAME_SIZE)

    # --- receiving

    def wait(self, deadline: float | None = None) -> Event:
        """The next event. Silence until the deadline, like the end of the connection, is final."""
        limit = deadline if deadline is not None else time.monotonic() + self.target.timeout
        while not self._frames:
            try:
                self._socket.settimeout(max(limit - time.monotonic(), 0.000_001))
                received = self._socket.recv(65_536)
            except (TimeoutError, BlockingIOError):
                self.closed = True
                return TIMEOUT
            except OSError as error:
                # A reset is not a close: it destroys a GOAWAY still in flight, and the public suite fails it.
                self.closed = True
                return Event("error", text=f"connection lost: {error.strerror or error}")
            if not received:
                self.closed = True
                if self._parser.pending:
                    return Event("error", text=f"closed after {self._parser.pending} bytes that are no whole frame")
                return CLOSED
            self._frames.extend(self._parser.feed(received))
        frame = self._frames.popleft()
        if frame.type == frames.DATA:
            self._refill(frame)
        return Event("frame", frame)

    def wait_for(self, type: int) -> tuple[Event, bool]:
        """The next frame of this type and True, or what came last instead and False."""
        last: Event | None = None
        while not self.closed:
            event = self.wait()
            if event.is_frame(type):
                return event, True
            if event is TIMEOUT and last is not None:
                break
            last = event
        return last or CLOSED, False

    def _refill(self, frame: Frame) -> None:
        for stream in (frame.stream, 0):
            left = self._windows.get(stream, frames.DEFAULT_WINDOW) - len(frame.payload)
            if left <= 0:
                self.send(frames.window_update(stream, frames.DEFAULT_WINDOW - left))
                left = frames.DEFAULT_WINDOW
            self._windows[stream] = left


def response_length(target: Target) -> int:
    """Bytes of DATA that a GET of the target's path brings; raises HandshakeError when it brings no response."""
    with Connection(target) as connection:
        connection.handshake()
        connection.send_request()
        length = 0
        while not connection.closed:
            event = connection.wait()
            if event.is_frame(frames.DATA):
                length += len(event.frame.payload)
            if event.frame is not None and event.frame.end_stream:
                return length
    raise HandshakeError(f"GET {target.path} brought no complete response")
