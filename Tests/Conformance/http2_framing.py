"""Group `http2`, sections 3.5 to 4.3 and 5.5: preface, frame format and size, header blocks, extensions."""

from __future__ import annotations

import frames
import verdict
from connection import Connection
from suite import case

UNKNOWN_TYPE = 0x16


@case("http2/3.5", "sends the client preface and gets the server's preface first")
def preface(c: Connection) -> None:
    c.send(frames.PREFACE, frames.settings((frames.INITIAL_WINDOW_SIZE, frames.DEFAULT_WINDOW)))
    verdict.server_preface(c)


@case("http2/3.5", "sends an invalid connection preface")
def invalid_preface(c: Connection) -> None:
    c.send(b"INVALID CONNECTION PREFACE\r\n\r\n")
    verdict.connection_error(c, frames.PROTOCOL_ERROR)


@case("http2/4.1", "sends a frame of unknown type")
def unknown_type(c: Connection) -> None:
    c.handshake()
    c.send(frames.frame(UNKNOWN_TYPE, payload=bytes(8)), frames.ping())
    verdict.ping_ack(c)


@case("http2/4.1", "sends a frame with an undefined flag")
def undefined_flag(c: Connection) -> None:
    c.handshake()
    c.send(frames.frame(frames.PING, 0x16, 0, bytes(8)))
    verdict.frame_of_type(c, frames.PING)


@case("http2/4.1", "sends a frame with the reserved bit set")
def reserved_bit(c: Connection) -> None:
    c.handshake()
    c.send(frames.frame(frames.PING, 0x16, 0x8000_0000, bytes(8)))
    verdict.frame_of_type(c, frames.PING)


@case("http2/4.2", "sends a DATA frame of 2^14 bytes")
def largest_data(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(method="POST", end_stream=False), frames.data(1, b"x" * c.max_frame_size, end_stream=True))
    verdict.response_headers(c)


@case("http2/4.2", "sends a DATA frame above SETTINGS_MAX_FRAME_SIZE")
def oversized_data(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(method="POST", end_stream=False), frames.data(1, b"x" * (c.max_frame_size + 1), end_stream=True))
    verdict.stream_error(c, frames.FRAME_SIZE_ERROR)


@case("http2/4.2", "sends a HEADERS frame above SETTINGS_MAX_FRAME_SIZE")
def oversized_headers(c: Connection) -> None:
    c.handshake()
    c.send_request(extra=c.dummy(5))
    verdict.connection_error(c, frames.FRAME_SIZE_ERROR)


@case("http2/4.3", "sends an invalid header block fragment")
def invalid_fragment(c: Connection) -> None:
    c.handshake()
    # A literal with incremental indexing that has neither length nor string.
    c.send(frames.headers(1, b"\x40"))
    verdict.connection_error(c, frames.COMPRESSION_ERROR)


@case("http2/4.3", "sends PRIORITY inside a header block")
def priority_inside(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(end_stream=False, end_headers=False), frames.priority(1),
           frames.continuation(1, c.encode(c.dummy())))
    verdict.connection_error(c, frames.PROTOCOL_ERROR)


@case("http2/4.3", "sends HEADERS on another stream inside a header block")
def headers_inside(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(end_stream=False, end_headers=False), c.opening(3),
           frames.continuation(1, c.encode(c.dummy())))
    verdict.connection_error(c, frames.PROTOCOL_ERROR)


@case("http2/5.5", "sends an unknown extension frame")
def extension_frame(c: Connection) -> None:
    unknown_type(c)


@case("http2/5.5", "sends an unknown extension frame in the middle of a header block")
def extension_inside(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(end_headers=False), frames.frame(UNKNOWN_TYPE, payload=bytes(8)))
    verdict.connection_error(c, frames.PROTOCOL_ERROR)
