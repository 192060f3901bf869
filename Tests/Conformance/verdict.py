"""Verdicts: what satisfies "connection error", "stream error" and the like.

A connection error is a GOAWAY with one of the codes or the end of the connection; a stream error also a RST_STREAM
with one of the codes. A TCP reset and silence satisfy neither.
"""

from __future__ import annotations

import frames
from connection import TIMEOUT, Connection, Event
from frames import error_name


class Failure(Exception):
    """A case that did not get what it expects."""

    def __init__(self, expected: list[str], actual: Event | str) -> None:
        super().__init__(f"expected {' or '.join(expected)}, got {actual}")
        self.expected = expected
        self.actual = str(actual)


class Skipped(Exception):
    """A case that says nothing about this server, with the reason."""


def _watch(connection: Connection, expected: list[str], satisfied) -> None:
    """Reads until `satisfied(event)`; fails with the last event worth telling when the connection is over."""
    last: Event | None = None
    while not connection.closed:
        event = connection.wait()
        if satisfied(event):
            return
        if event is not TIMEOUT or last is None:
            last = event
    raise Failure(expected, last or "connection already over")


def _has_code(event: Event, type: int, codes: tuple[int, ...]) -> bool:
    return event.is_frame(type) and event.frame.error_code in codes


def connection_close(connection: Connection) -> None:
    _watch(connection, ["connection closed"], lambda event: event.kind == "closed")


def connection_error(connection: Connection, *codes: int) -> None:
    expected = [f"GOAWAY({error_name(code)})" for code in codes] + ["connection closed"]
    _watch(connection, expected,
           lambda event: event.kind == "closed" or _has_code(event, frames.GOAWAY, codes))


def stream_error(connection: Connection, *codes: int) -> None:
    expected = [f"{kind}({error_name(code)})" for code in codes for kind in ("GOAWAY", "RST_STREAM")]
    _watch(connection, expected + ["connection closed"],
           lambda event: event.kind == "closed" or _has_code(event, frames.GOAWAY, codes)
           or _has_code(event, frames.RST_STREAM, codes))


def stream_close(connection: Connection) -> None:
    _watch(connection, ["end of the stream"],
           lambda event: event.frame is not None
           and (event.frame.end_stream or _has_code(event, frames.RST_STREAM, (frames.NO_ERROR,))))


def ping_ack_or_close(connection: Connection, opaque: bytes) -> None:
    _watch(connection, ["PING ACK with the same payload", "connection closed"],
           lambda event: event.kind == "closed"
           or (event.is_frame(frames.PING) and event.frame.ack and event.frame.payload == opaque))


def frame_of_type(connection: Connection, type: int) -> frames.Frame:
    event, found = connection.wait_for(type)
    if not found:
        raise Failure([frames.TYPE_NAMES[type]], event)
    return event.frame


def response_headers(connection: Connection, stream: int = 1) -> None:
    event, found = connection.wait_for(frames.HEADERS)
    if not found or event.frame.stream != stream:
        raise Failure([f"HEADERS on stream {stream}"], event)


def settings_ack(connection: Connection) -> None:
    event, found = connection.wait_for(frames.SETTINGS)
    if not found or not event.frame.ack:
        raise Failure(["SETTINGS ACK"], event)


def ping_ack(connection: Connection, opaque: bytes = bytes(8)) -> None:
    event, found = connection.wait_for(frames.PING)
    if not found or not event.frame.ack or event.frame.payload != opaque:
        raise Failure(["PING ACK with the same payload"], event)


def data_of_length(connection: Connection, length: int) -> None:
    event, found = connection.wait_for(frames.DATA)
    if not found or len(event.frame.payload) != length:
        raise Failure([f"DATA of {length} byte"], event)


def code_in(connection: Connection, type: int, code: int, stream: int = 0) -> None:
    """The first frame of this type carries exactly this code: a close does not do."""
    event, found = connection.wait_for(type)
    if not found or event.frame.error_code != code or event.frame.stream != stream:
        raise Failure([f"{frames.TYPE_NAMES[type]}({error_name(code)})"], event)


def server_preface(connection: Connection) -> None:
    event = connection.wait()
    if not event.is_frame(frames.SETTINGS) or event.frame.ack:
        raise Failure(["SETTINGS as the first frame"], event)
