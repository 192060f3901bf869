"""Group `http2`, sections 5.1 to 5.4: stream states, identifiers, concurrency, dependencies, connection errors."""

from __future__ import annotations

import frames
import verdict
from connection import Connection
from suite import case


def _idle(c: Connection, frame: bytes) -> None:
    c.send(frame)
    verdict.connection_error(c, frames.PROTOCOL_ERROR)


@case("http2/5.1", "idle: sends DATA")
def idle_data(c: Connection) -> None:
    c.handshake()
    _idle(c, frames.data(1, b"test", end_stream=True))


@case("http2/5.1", "idle: sends RST_STREAM")
def idle_reset(c: Connection) -> None:
    c.handshake()
    _idle(c, frames.rst_stream(1, frames.CANCEL))


@case("http2/5.1", "idle: sends WINDOW_UPDATE")
def idle_window_update(c: Connection) -> None:
    c.handshake()
    _idle(c, frames.window_update(1, 100))


@case("http2/5.1", "idle: sends CONTINUATION")
def idle_continuation(c: Connection) -> None:
    c.handshake()
    _idle(c, frames.continuation(1, c.encode(c.request())))


@case("http2/5.1", "half-closed (remote): sends DATA")
def half_closed_data(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(), frames.data(1, b"test", end_stream=True))
    verdict.stream_error(c, frames.STREAM_CLOSED)


@case("http2/5.1", "half-closed (remote): sends HEADERS")
def half_closed_headers(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(), c.opening())
    verdict.stream_error(c, frames.STREAM_CLOSED)


@case("http2/5.1", "half-closed (remote): sends CONTINUATION")
def half_closed_continuation(c: Connection) -> None:
    c.handshake()
    block = c.encode(c.request())
    c.send(frames.headers(1, block), frames.continuation(1, block))
    verdict.stream_error(c, frames.STREAM_CLOSED, frames.PROTOCOL_ERROR)


def _reset(c: Connection) -> tuple[bytes, bytes]:
    """The frames that open a stream and reset it."""
    c.handshake()
    return c.opening(end_stream=False), frames.rst_stream(1, frames.CANCEL)


@case("http2/5.1", "closed: sends DATA after RST_STREAM")
def reset_data(c: Connection) -> None:
    c.send(*_reset(c), frames.data(1, b"test", end_stream=True))
    verdict.stream_error(c, frames.STREAM_CLOSED)


@case("http2/5.1", "closed: sends HEADERS after RST_STREAM")
def reset_headers(c: Connection) -> None:
    c.send(*_reset(c), c.opening())
    verdict.stream_error(c, frames.STREAM_CLOSED)


@case("http2/5.1", "closed: sends CONTINUATION after RST_STREAM")
def reset_continuation(c: Connection) -> None:
    c.send(*_reset(c), frames.continuation(1, c.encode(c.dummy())))
    verdict.stream_error(c, frames.STREAM_CLOSED, frames.PROTOCOL_ERROR)


def _finished(c: Connection) -> bytes:
    """Sends a request, waits for the end of its response, returns the request's header block."""
    c.handshake()
    block = c.encode(c.request())
    c.send(frames.headers(1, block))
    verdict.stream_close(c)
    return block


@case("http2/5.1", "closed: sends DATA")
def closed_data(c: Connection) -> None:
    _finished(c)
    c.send(frames.data(1, b"test", end_stream=True))
    verdict.stream_error(c, frames.STREAM_CLOSED)


@case("http2/5.1", "closed: sends HEADERS")
def closed_headers(c: Connection) -> None:
    block = _finished(c)
    c.send(frames.headers(1, block))
    verdict.connection_error(c, frames.STREAM_CLOSED)


@case("http2/5.1", "closed: sends CONTINUATION")
def closed_continuation(c: Connection) -> None:
    _finished(c)
    c.send(frames.continuation(1, c.encode(c.dummy())))
    verdict.connection_error(c, frames.STREAM_CLOSED, frames.PROTOCOL_ERROR)


@case("http2/5.1.1", "sends an even-numbered stream identifier")
def even_stream(c: Connection) -> None:
    c.handshake()
    c.send_request(2)
    verdict.connection_error(c, frames.PROTOCOL_ERROR)


@case("http2/5.1.1", "sends a stream identifier smaller than the previous one")
def smaller_stream(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(5), c.opening(3))
    verdict.connection_error(c, frames.PROTOCOL_ERROR)


@case("http2/5.1.2", "exceeds the advertised limit of concurrent streams")
def too_many_streams(c: Connection) -> None:
    c.handshake()
    limit = c.settings.get(frames.MAX_CONCURRENT_STREAMS)
    if limit is None:
        raise verdict.Skipped("the server advertises no SETTINGS_MAX_CONCURRENT_STREAMS")
    # A window of zero keeps the server from finishing the streams.
    c.send(frames.settings((frames.INITIAL_WINDOW_SIZE, 0)))
    # The first block again and again: later ones could be shorter, but stay valid with any dynamic table.
    block = c.encode(c.request())
    for index in range(limit + 1):
        c.send(frames.headers(1 + 2 * index, block))
    verdict.stream_error(c, frames.PROTOCOL_ERROR, frames.REFUSED_STREAM)


@case("http2/5.3.1", "sends HEADERS that depend on their own stream")
def headers_on_itself(c: Connection) -> None:
    c.handshake()
    c.send(frames.headers(1, c.encode(c.request()), priority=frames.priority_fields(1)))
    verdict.stream_error(c, frames.PROTOCOL_ERROR)


@case("http2/5.3.1", "sends PRIORITY that depends on its own stream")
def priority_on_itself(c: Connection) -> None:
    c.handshake()
    c.send(frames.priority(1, depends_on=1))
    verdict.stream_error(c, frames.PROTOCOL_ERROR)


@case("http2/5.4.1", "sends an invalid PING and gets the connection closed")
def error_closes(c: Connection) -> None:
    c.handshake()
    c.send(frames.frame(frames.PING, 0, 3, bytes(8)))
    verdict.connection_close(c)


@case("http2/5.4.1", "sends an invalid PING and gets GOAWAY", strict=True)
def error_says_goaway(c: Connection) -> None:
    c.handshake()
    c.send(frames.frame(frames.PING, 0, 3, bytes(8)))
    verdict.frame_of_type(c, frames.GOAWAY)
