"""Group `http2`, sections 6.1 to 6.4, 6.7, 6.8 and 6.10: rules of the single frame types."""

from __future__ import annotations

import frames
import verdict
from connection import Connection
from suite import case


def _connection_error(c: Connection, code: int, *sent: bytes) -> None:
    c.handshake()
    c.send(*sent)
    verdict.connection_error(c, code)


# --- DATA


@case("http2/6.1", "sends DATA on stream 0")
def data_on_zero(c: Connection) -> None:
    _connection_error(c, frames.PROTOCOL_ERROR, frames.data(0, b"test", end_stream=True))


@case("http2/6.1", "sends DATA on a stream that is not open")
def data_not_open(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(method="POST"), frames.data(1, b"test", end_stream=True))
    verdict.stream_error(c, frames.STREAM_CLOSED)


@case("http2/6.1", "sends DATA with more padding than payload")
def data_bad_padding(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(method="POST", extra=[("content-length", "4")], end_stream=False),
           frames.frame(frames.DATA, frames.END_STREAM | frames.PADDED, 1, b"\x06Test"))
    verdict.connection_error(c, frames.PROTOCOL_ERROR)


# --- HEADERS


@case("http2/6.2", "sends HEADERS without END_HEADERS, then PRIORITY")
def headers_then_priority(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(end_stream=False, end_headers=False), frames.priority(1),
           frames.continuation(1, c.encode(c.dummy())))
    verdict.connection_error(c, frames.PROTOCOL_ERROR)


@case("http2/6.2", "sends HEADERS without END_HEADERS, then HEADERS on another stream")
def headers_then_headers(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(end_stream=False, end_headers=False), c.opening(3),
           frames.continuation(1, c.encode(c.dummy())))
    verdict.connection_error(c, frames.PROTOCOL_ERROR)


@case("http2/6.2", "sends HEADERS on stream 0")
def headers_on_zero(c: Connection) -> None:
    c.handshake()
    c.send_request(0)
    verdict.connection_error(c, frames.PROTOCOL_ERROR)


@case("http2/6.2", "sends HEADERS with more padding than payload")
def headers_bad_padding(c: Connection) -> None:
    c.handshake()
    block = c.encode(c.request())
    flags = frames.END_STREAM | frames.END_HEADERS | frames.PADDED
    c.send(frames.frame(frames.HEADERS, flags, 1, bytes([len(block) + 2]) + block))
    verdict.stream_error(c, frames.PROTOCOL_ERROR)


# --- PRIORITY


@case("http2/6.3", "sends PRIORITY on stream 0")
def priority_on_zero(c: Connection) -> None:
    _connection_error(c, frames.PROTOCOL_ERROR, frames.priority(0))


@case("http2/6.3", "sends PRIORITY of another length than 5")
def priority_length(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(), frames.frame(frames.PRIORITY, 0, 1, b"\x80\x00\x00\x01"))
    verdict.stream_error(c, frames.FRAME_SIZE_ERROR)


# --- RST_STREAM


@case("http2/6.4", "sends RST_STREAM on stream 0")
def reset_on_zero(c: Connection) -> None:
    _connection_error(c, frames.PROTOCOL_ERROR, frames.rst_stream(0, frames.CANCEL))


@case("http2/6.4", "sends RST_STREAM on an idle stream")
def reset_on_idle(c: Connection) -> None:
    _connection_error(c, frames.PROTOCOL_ERROR, frames.rst_stream(1, frames.CANCEL))


@case("http2/6.4", "sends RST_STREAM of another length than 4")
def reset_length(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(), frames.frame(frames.RST_STREAM, 0, 1, bytes(3)))
    verdict.stream_error(c, frames.FRAME_SIZE_ERROR)


# --- PING and GOAWAY


@case("http2/6.7", "sends PING and gets its payload back")
def ping(c: Connection) -> None:
    c.handshake()
    c.send(frames.ping(b"conform\0"))
    verdict.ping_ack(c, b"conform\0")


@case("http2/6.7", "sends PING with ACK, which nothing answers")
def ping_with_ack(c: Connection) -> None:
    c.handshake()
    c.send(frames.ping(b"invalid\0", ack=True), frames.ping(b"conform\0"))
    verdict.ping_ack(c, b"conform\0")


@case("http2/6.7", "sends PING on a stream")
def ping_on_stream(c: Connection) -> None:
    _connection_error(c, frames.PROTOCOL_ERROR, frames.frame(frames.PING, 0, 1, bytes(8)))


@case("http2/6.7", "sends PING of another length than 8")
def ping_length(c: Connection) -> None:
    _connection_error(c, frames.FRAME_SIZE_ERROR, frames.frame(frames.PING, 0, 0, bytes(6)))


@case("http2/6.8", "sends GOAWAY on a stream")
def goaway_on_stream(c: Connection) -> None:
    _connection_error(c, frames.PROTOCOL_ERROR, frames.frame(frames.GOAWAY, 0, 1, bytes(8)))


# --- CONTINUATION


@case("http2/6.10", "sends HEADERS and two CONTINUATION frames")
def continuations(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(end_headers=False), frames.continuation(1, c.encode(c.dummy()), end_headers=False),
           frames.continuation(1, c.encode(c.dummy())))
    verdict.response_headers(c)


@case("http2/6.10", "sends CONTINUATION, then another frame than CONTINUATION")
def continuation_then_data(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(method="POST", end_stream=False, end_headers=False),
           frames.continuation(1, c.encode(c.dummy()), end_headers=False), frames.data(1, b"test", end_stream=True))
    verdict.connection_error(c, frames.PROTOCOL_ERROR)


@case("http2/6.10", "sends CONTINUATION on stream 0")
def continuation_on_zero(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(end_headers=False), frames.continuation(0, c.encode(c.dummy())))
    verdict.connection_error(c, frames.PROTOCOL_ERROR)


@case("http2/6.10", "sends CONTINUATION after HEADERS with END_HEADERS")
def continuation_after_headers(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(), frames.continuation(1, c.encode(c.dummy())))
    verdict.connection_error(c, frames.PROTOCOL_ERROR)


@case("http2/6.10", "sends CONTINUATION after CONTINUATION with END_HEADERS")
def continuation_after_continuation(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(end_headers=False), frames.continuation(1, c.encode(c.dummy())),
           frames.continuation(1, c.encode(c.dummy())))
    verdict.connection_error(c, frames.PROTOCOL_ERROR)


@case("http2/6.10", "sends CONTINUATION after DATA")
def continuation_after_data(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(method="POST", end_stream=False, end_headers=False), frames.data(1, b"test", end_stream=True),
           frames.continuation(1, c.encode(c.dummy()), end_headers=False),
           frames.continuation(0, c.encode(c.dummy())))
    verdict.connection_error(c, frames.PROTOCOL_ERROR)
