"""Group `generic`: what every HTTP/2 server has to accept."""

from __future__ import annotations

import frames
import verdict
from connection import Connection
from suite import case

GREETING = b"conform\0"


@case("generic/1", "sends a client connection preface and gets the server's preface first")
def preface(c: Connection) -> None:
    c.send(frames.PREFACE, frames.settings((frames.INITIAL_WINDOW_SIZE, frames.DEFAULT_WINDOW)))
    verdict.server_preface(c)


@case("generic/2", "sends PRIORITY on an idle stream")
def priority_on_idle(c: Connection) -> None:
    c.handshake()
    c.send(frames.priority(1), frames.ping())
    verdict.ping_ack(c)


@case("generic/2", "sends WINDOW_UPDATE on a half-closed (remote) stream")
def window_update_on_half_closed(c: Connection) -> None:
    c.handshake()
    # A window of zero keeps the server from finishing the stream.
    c.send(frames.settings((frames.INITIAL_WINDOW_SIZE, 0)))
    c.send(c.opening(), frames.window_update(1, 1))
    verdict.frame_of_type(c, frames.DATA)


@case("generic/2", "sends PRIORITY on a half-closed (remote) stream")
def priority_on_half_closed(c: Connection) -> None:
    c.handshake()
    c.send(frames.settings((frames.INITIAL_WINDOW_SIZE, 0)))
    c.send(c.opening(), frames.priority(1), frames.window_update(1, 1))
    verdict.frame_of_type(c, frames.DATA)


@case("generic/2", "sends RST_STREAM on a half-closed (remote) stream")
def reset_on_half_closed(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(), frames.rst_stream(1, frames.CANCEL), frames.ping())
    verdict.ping_ack_or_close(c, bytes(8))


@case("generic/2", "sends PRIORITY on a closed stream")
def priority_on_closed(c: Connection) -> None:
    c.handshake()
    c.send_request()
    verdict.stream_close(c)
    c.send(frames.priority(1), frames.ping())
    verdict.ping_ack(c)


def _post(c: Connection, *body: bytes) -> None:
    c.handshake()
    c.send(c.opening(method="POST", end_stream=False), *body)
    verdict.response_headers(c)


@case("generic/3.1", "sends a DATA frame")
def one_data(c: Connection) -> None:
    _post(c, frames.data(1, b"test", end_stream=True))


@case("generic/3.1", "sends multiple DATA frames")
def two_data(c: Connection) -> None:
    _post(c, frames.data(1, b"test"), frames.data(1, b"test", end_stream=True))


@case("generic/3.1", "sends a DATA frame with padding")
def padded_data(c: Connection) -> None:
    _post(c, frames.data(1, b"test", end_stream=True, padding=5))


@case("generic/3.2", "sends a HEADERS frame")
def one_headers(c: Connection) -> None:
    c.handshake()
    c.send_request()
    verdict.response_headers(c)


@case("generic/3.2", "sends a HEADERS frame with padding")
def padded_headers(c: Connection) -> None:
    c.handshake()
    c.send(frames.headers(1, c.encode(c.request()), padding=8))
    verdict.response_headers(c)


@case("generic/3.2", "sends a HEADERS frame with priority")
def headers_with_priority(c: Connection) -> None:
    c.handshake()
    c.send(frames.headers(1, c.encode(c.request()), priority=frames.priority_fields(0)))
    verdict.response_headers(c)


def _priority_then_request(c: Connection, frame: bytes) -> None:
    c.handshake()
    c.send(frame)
    c.send_request()
    verdict.response_headers(c)


@case("generic/3.3", "sends PRIORITY with weight 1")
def priority_lowest(c: Connection) -> None:
    _priority_then_request(c, frames.priority(1, weight=0))


@case("generic/3.3", "sends PRIORITY with weight 256")
def priority_highest(c: Connection) -> None:
    _priority_then_request(c, frames.priority(1, weight=255))


@case("generic/3.3", "sends PRIORITY with a stream dependency")
def priority_dependency(c: Connection) -> None:
    _priority_then_request(c, frames.priority(3, depends_on=1, weight=0))


@case("generic/3.3", "sends PRIORITY with the exclusive bit")
def priority_exclusive(c: Connection) -> None:
    _priority_then_request(c, frames.priority(1, weight=0, exclusive=True))


@case("generic/3.3", "sends PRIORITY for an idle stream, then HEADERS on a lower stream id")
def priority_above(c: Connection) -> None:
    _priority_then_request(c, frames.priority(3))


@case("generic/3.4", "sends RST_STREAM on an open stream")
def reset_open(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(end_stream=False), frames.rst_stream(1, frames.CANCEL), frames.ping())
    verdict.ping_ack_or_close(c, bytes(8))


@case("generic/3.5", "sends SETTINGS with every defined parameter")
def all_settings(c: Connection) -> None:
    c.handshake()
    c.send(frames.settings(
        (frames.HEADER_TABLE_SIZE, 4096), (frames.ENABLE_PUSH, 1), (frames.MAX_CONCURRENT_STREAMS, 100),
        (frames.INITIAL_WINDOW_SIZE, 65_535), (frames.MAX_FRAME_SIZE, 16_384), (frames.MAX_HEADER_LIST_SIZE, 100)))
    verdict.settings_ack(c)


@case("generic/3.7", "sends PING")
def ping(c: Connection) -> None:
    c.handshake()
    c.send(frames.ping(GREETING))
    verdict.ping_ack(c, GREETING)


@case("generic/3.8", "sends GOAWAY")
def goaway(c: Connection) -> None:
    c.handshake()
    c.send(frames.goaway(0, frames.NO_ERROR, b"conformance"), frames.ping(GREETING))
    verdict.ping_ack_or_close(c, GREETING)


@case("generic/3.9", "sends WINDOW_UPDATE on the connection")
def window_update_connection(c: Connection) -> None:
    c.handshake()
    c.send(frames.window_update(0, 1), frames.ping())
    verdict.frame_of_type(c, frames.PING)


@case("generic/3.9", "sends WINDOW_UPDATE on a stream")
def window_update_stream(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(), frames.window_update(1, 1))
    verdict.frame_of_type(c, frames.HEADERS)


@case("generic/3.10", "sends one CONTINUATION frame")
def one_continuation(c: Connection) -> None:
    c.handshake()
    block = c.encode(c.request())
    c.send(frames.headers(1, block[:5], end_headers=False), frames.continuation(1, block[5:]))
    verdict.response_headers(c)


@case("generic/3.10", "sends multiple CONTINUATION frames")
def two_continuations(c: Connection) -> None:
    c.handshake()
    block = c.encode(c.request())
    c.send(frames.headers(1, block[:5], end_headers=False),
           frames.continuation(1, block[5:10], end_headers=False), frames.continuation(1, block[10:]))
    verdict.response_headers(c)


@case("generic/4", "sends a GET request")
def get_request(c: Connection) -> None:
    one_headers(c)


@case("generic/4", "sends a HEAD request")
def head_request(c: Connection) -> None:
    c.handshake()
    c.send_request(method="HEAD")
    verdict.response_headers(c)


@case("generic/4", "sends a POST request")
def post_request(c: Connection) -> None:
    one_data(c)


@case("generic/4", "sends a POST request with trailers")
def post_with_trailers(c: Connection) -> None:
    c.handshake()
    c.send(c.opening(method="POST", extra=[("trailer", "x-test")], end_stream=False),
           frames.data(1, b"test"), frames.headers(1, c.encode([("x-test", "ok")])))
    verdict.response_headers(c)


# Field representations of RFC 7541 section 6, appended to an ordinary request. Names and values as plain strings
# and Huffman-coded: `user-agent` and `x-test`, both with the value `h2spec`.
_PLAIN = {"user-agent": b"\x0auser-agent", "x-test": b"\x06x-test", "value": b"\x06h2spec"}
_HUFFMAN = {"user-agent": b"\x87\xb5\x05\xb1\x61\xcc\x5a\x93", "x-test": b"\x85\xf2\xb2\x4a\x84\xff",
            "value": b"\x84\x9c\x48\xac\xa4"}


def _request_with(c: Connection, before: bytes = b"", after: bytes = b"") -> None:
    c.handshake()
    c.send(frames.headers(1, before + c.encode(c.request()) + after))
    verdict.response_headers(c)


@case("generic/5", "sends an indexed header field")
def indexed_field(c: Connection) -> None:
    _request_with(c, after=b"\xba")


def _literal_cases() -> None:
    kinds = (("with incremental indexing", b"\x40"), ("without indexing", b"\x00"), ("never indexed", b"\x10"))
    names = (("a known name", "user-agent"), ("a new name", "x-test"))
    codings = (("plain", _PLAIN), ("Huffman-coded", _HUFFMAN))
    for kind, prefix in kinds:
        for description, name in names:
            for coding, strings in codings:
                field = prefix + strings[name] + strings["value"]
                case("generic/5", f"sends a literal header field {kind}, {description}, {coding}")(
                    lambda c, field=field: _request_with(c, after=field))


_literal_cases()


@case("generic/5", "sends a dynamic table size update")
def table_size_update(c: Connection) -> None:
    _request_with(c, before=b"\x20")


@case("generic/5", "sends two dynamic table size updates")
def two_table_size_updates(c: Connection) -> None:
    _request_with(c, before=b"\x20\x3f\xe1\x1f")
