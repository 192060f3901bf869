"""Group `http2`, sections 7 and 8: error codes, requests and responses, header fields, server push."""

from __future__ import annotations

import frames
import verdict
from connection import Connection, HeaderList
from suite import case


@case("http2/7", "sends GOAWAY with an unknown error code")
def goaway_unknown_code(c: Connection) -> None:
    c.handshake()
    c.send(frames.goaway(0, 0xFF), frames.ping(b"conform\0"))
    verdict.ping_ack_or_close(c, b"conform\0")


@case("http2/7", "sends RST_STREAM with an unknown error code")
def reset_unknown_code(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(method="POST", end_stream=False), frames.rst_stream(1, 0xFF), frames.ping())
    verdict.ping_ack(c)


def _malformed(c: Connection, fields: HeaderList) -> None:
    c.handshake()
    c.send(frames.headers(1, c.encode(fields)))
    verdict.stream_error(c, frames.PROTOCOL_ERROR)


def _trailers_without_end(c: Connection, trailers: HeaderList) -> None:
    c.handshake()
    c.send(c.opening(method="POST", end_stream=False), frames.data(1, b"test"),
           frames.headers(1, c.encode(trailers), end_stream=False))
    verdict.stream_error(c, frames.PROTOCOL_ERROR)


@case("http2/8.1", "sends a second HEADERS frame without END_STREAM")
def second_headers(c: Connection) -> None:
    _trailers_without_end(c, [("x-test", "ok")])


@case("http2/8.1.2", "sends a field name in upper case")
def upper_case(c: Connection) -> None:
    _malformed(c, c.request(extra=[("X-TEST", "ok")]))


@case("http2/8.1.2.1", "sends an unknown pseudo-header field")
def unknown_pseudo(c: Connection) -> None:
    _malformed(c, c.request(extra=[(":test", "ok")]))


@case("http2/8.1.2.1", "sends the pseudo-header field of responses")
def response_pseudo(c: Connection) -> None:
    _malformed(c, c.request(extra=[(":status", "200")]))


@case("http2/8.1.2.1", "sends a pseudo-header field in trailers")
def pseudo_in_trailers(c: Connection) -> None:
    _trailers_without_end(c, [(":method", "POST")])


@case("http2/8.1.2.1", "sends a pseudo-header field after a regular one")
def pseudo_after_regular(c: Connection) -> None:
    _malformed(c, [("x-test", "ok")] + c.request())


@case("http2/8.1.2.2", "sends a connection-specific field")
def connection_field(c: Connection) -> None:
    _malformed(c, c.request(extra=[("connection", "keep-alive")]))


@case("http2/8.1.2.2", "sends te with another value than \"trailers\"")
def te_value(c: Connection) -> None:
    _malformed(c, c.request(extra=[("trailers", "test"), ("te", "trailers, deflate")]))


@case("http2/8.1.2.3", "sends an empty :path")
def empty_path(c: Connection) -> None:
    _malformed(c, [(name, "" if name == ":path" else value) for name, value in c.request()])


def _without(c: Connection, *omitted: str) -> None:
    _malformed(c, [field for field in c.request() if field[0] not in omitted])


@case("http2/8.1.2.3", "omits :method")
def no_method(c: Connection) -> None:
    # The public suite's block for this case starts at :path, so :scheme is missing with it.
    _without(c, ":method", ":scheme")


@case("http2/8.1.2.3", "omits :scheme")
def no_scheme(c: Connection) -> None:
    _without(c, ":scheme")


@case("http2/8.1.2.3", "omits :path")
def no_path(c: Connection) -> None:
    _without(c, ":path")


def _duplicated(c: Connection, name: str) -> None:
    _malformed(c, c.request() + [field for field in c.request() if field[0] == name])


@case("http2/8.1.2.3", "sends :method twice")
def two_methods(c: Connection) -> None:
    _duplicated(c, ":method")


@case("http2/8.1.2.3", "sends :scheme twice")
def two_schemes(c: Connection) -> None:
    _duplicated(c, ":scheme")


@case("http2/8.1.2.3", "sends :path twice")
def two_paths(c: Connection) -> None:
    _duplicated(c, ":path")


def _body_of_other_length(c: Connection, *body: bytes) -> None:
    c.handshake()
    c.send(c.opening(method="POST", extra=[("content-length", "1")], end_stream=False), *body)
    verdict.stream_error(c, frames.PROTOCOL_ERROR)


@case("http2/8.1.2.6", "sends a content-length that differs from the DATA frame")
def length_of_one(c: Connection) -> None:
    _body_of_other_length(c, frames.data(1, b"test", end_stream=True))


@case("http2/8.1.2.6", "sends a content-length that differs from the sum of the DATA frames")
def length_of_sum(c: Connection) -> None:
    _body_of_other_length(c, frames.data(1, b"test"), frames.data(1, b"test", end_stream=True))


@case("http2/8.2", "sends PUSH_PROMISE")
def push_promise(c: Connection) -> None:
    c.handshake()
    c.send(frames.push_promise(1, 3, c.encode(c.request())))
    verdict.connection_error(c, frames.PROTOCOL_ERROR)
