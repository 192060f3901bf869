"""Group `http2`, sections 6.5 and 6.9: SETTINGS and flow control."""

from __future__ import annotations

import frames
import verdict
from connection import Connection, response_length
from suite import case


def _connection_error(c: Connection, code: int, sent: bytes) -> None:
    c.handshake()
    c.send(sent)
    verdict.connection_error(c, code)


@case("http2/6.5", "sends SETTINGS with ACK and a payload")
def ack_with_payload(c: Connection) -> None:
    _connection_error(c, frames.FRAME_SIZE_ERROR, frames.frame(frames.SETTINGS, frames.ACK, 0, b"\x00"))


@case("http2/6.5", "sends SETTINGS on a stream")
def settings_on_stream(c: Connection) -> None:
    payload = frames.settings((frames.MAX_CONCURRENT_STREAMS, 100))[9:]
    _connection_error(c, frames.PROTOCOL_ERROR, frames.frame(frames.SETTINGS, 0, 1, payload))


@case("http2/6.5", "sends SETTINGS whose length is no multiple of 6")
def settings_length(c: Connection) -> None:
    c.handshake()
    c.send(frames.frame(frames.SETTINGS, 0, 0, b"\x00\x03\x00"))
    verdict.stream_error(c, frames.PROTOCOL_ERROR, frames.FRAME_SIZE_ERROR)


@case("http2/6.5.2", "SETTINGS_ENABLE_PUSH: sends another value than 0 or 1")
def enable_push_range(c: Connection) -> None:
    _connection_error(c, frames.PROTOCOL_ERROR, frames.settings((frames.ENABLE_PUSH, 2)))


@case("http2/6.5.2", "SETTINGS_INITIAL_WINDOW_SIZE: sends a value above the maximum window")
def initial_window_range(c: Connection) -> None:
    _connection_error(c, frames.FLOW_CONTROL_ERROR, frames.settings((frames.INITIAL_WINDOW_SIZE, 2**31)))


@case("http2/6.5.2", "SETTINGS_MAX_FRAME_SIZE: sends a value below the initial one")
def frame_size_low(c: Connection) -> None:
    _connection_error(c, frames.PROTOCOL_ERROR, frames.settings((frames.MAX_FRAME_SIZE, 16_383)))


@case("http2/6.5.2", "SETTINGS_MAX_FRAME_SIZE: sends a value above the maximum frame size")
def frame_size_high(c: Connection) -> None:
    _connection_error(c, frames.PROTOCOL_ERROR, frames.settings((frames.MAX_FRAME_SIZE, 2**24)))


@case("http2/6.5.2", "sends an unknown SETTINGS identifier")
def unknown_setting(c: Connection) -> None:
    c.handshake()
    c.send(frames.settings((0xFF, 1)), frames.ping())
    verdict.frame_of_type(c, frames.PING)


def _needs_body(c: Connection, bytes_needed: int) -> None:
    length = response_length(c.target)
    if length < bytes_needed:
        raise verdict.Skipped(f"GET {c.target.path} brings {length} bytes of body, {bytes_needed} are needed")


@case("http2/6.5.3", "sends SETTINGS_INITIAL_WINDOW_SIZE twice in one frame")
def settings_in_order(c: Connection) -> None:
    _needs_body(c, 1)
    c.handshake()
    c.send(frames.settings((frames.INITIAL_WINDOW_SIZE, 100), (frames.INITIAL_WINDOW_SIZE, 1)))
    verdict.settings_ack(c)
    c.send_request()
    verdict.data_of_length(c, 1)


@case("http2/6.5.3", "sends SETTINGS and gets its ACK at once")
def settings_acknowledged(c: Connection) -> None:
    c.handshake()
    c.send(frames.settings((frames.ENABLE_PUSH, 0)))
    verdict.settings_ack(c)


@case("http2/6.9", "sends WINDOW_UPDATE of 0 on the connection")
def zero_increment(c: Connection) -> None:
    _connection_error(c, frames.PROTOCOL_ERROR, frames.window_update(0, 0))


@case("http2/6.9", "sends WINDOW_UPDATE of 0 on a stream")
def zero_increment_stream(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(end_stream=False), frames.window_update(1, 0))
    verdict.stream_error(c, frames.PROTOCOL_ERROR)


@case("http2/6.9", "sends WINDOW_UPDATE of another length than 4")
def window_update_length(c: Connection) -> None:
    _connection_error(c, frames.FRAME_SIZE_ERROR, frames.frame(frames.WINDOW_UPDATE, 0, 0, b"\x00\x00\x01"))


@case("http2/6.9.1", "sets the initial window to 1 and sends a request")
def window_of_one(c: Connection) -> None:
    _needs_body(c, 1)
    c.handshake()
    c.send(frames.settings((frames.INITIAL_WINDOW_SIZE, 1)))
    verdict.settings_ack(c)
    c.send_request()
    verdict.data_of_length(c, 1)


@case("http2/6.9.1", "raises the connection window above 2^31-1")
def connection_window_overflow(c: Connection) -> None:
    c.handshake()
    c.send(frames.window_update(0, frames.MAX_WINDOW), frames.window_update(0, frames.MAX_WINDOW))
    verdict.code_in(c, frames.GOAWAY, frames.FLOW_CONTROL_ERROR)


@case("http2/6.9.1", "raises a stream window above 2^31-1")
def stream_window_overflow(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(end_stream=False), frames.window_update(1, frames.MAX_WINDOW),
           frames.window_update(1, frames.MAX_WINDOW))
    verdict.code_in(c, frames.RST_STREAM, frames.FLOW_CONTROL_ERROR, stream=1)


@case("http2/6.9.2", "changes the initial window after the request")
def window_changed(c: Connection) -> None:
    _needs_body(c, 1)
    c.handshake()
    c.send(frames.settings((frames.INITIAL_WINDOW_SIZE, 0)))
    verdict.settings_ack(c)
    c.send(c.opening(), frames.settings((frames.INITIAL_WINDOW_SIZE, 1)))
    verdict.data_of_length(c, 1)


@case("http2/6.9.2", "makes the window negative by SETTINGS")
def negative_window(c: Connection) -> None:
    _needs_body(c, 5)
    c.handshake()
    c.send(frames.settings((frames.INITIAL_WINDOW_SIZE, 3)))
    verdict.settings_ack(c)
    c.send_request()
    verdict.frame_of_type(c, frames.DATA)
    c.send(frames.settings((frames.INITIAL_WINDOW_SIZE, 2)))
    verdict.settings_ack(c)
    c.send(frames.window_update(1, 2))
    verdict.data_of_length(c, 1)


@case("http2/6.9.2", "sends SETTINGS_INITIAL_WINDOW_SIZE above the maximum window")
def initial_window_overflow(c: Connection) -> None:
    initial_window_range(c)
