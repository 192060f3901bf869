"""Traps before HTTP/2 has begun: other protocols, garbage, silence."""

from __future__ import annotations

import struct

import frames
from frames import FrameParser
from trap_suite import Proxy, TrapFailure, expect, read_to_end, trap


def _http1(proxy: Proxy, request: bytes) -> str:
    with proxy.tcp() as tcp:
        tcp.sendall(request)
        answer, after = read_to_end(tcp, 3)
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n")[0].decode("latin-1")
    expect(status.startswith(("HTTP/1.1 505", "HTTP/1.1 426", "HTTP/1.0 505")), f"expected 505 or 426, got {status!r}")
    expect(len(body.split()) >= 4, f"expected a sentence as the body, got {body[:80]!r}")
    expect(after is not None, "answered, but did not close within 3 s")
    return status


@trap("http1/get", "an HTTP/1.1 request on the clear port is answered 505 or 426 with a sentence, then closed")
def http1_get(proxy: Proxy) -> str:
    return _http1(proxy, b"GET /healthz HTTP/1.1\r\nhost: mesh.local\r\nuser-agent: curl/7.88.1\r\n\r\n")


@trap("http1/post", "so is an HTTP/1.1 POST whose body comes along")
def http1_post(proxy: Proxy) -> str:
    return _http1(proxy, b"POST /echo.Echo/Unary HTTP/1.1\r\nhost: mesh.local\r\ncontent-length: 5\r\n\r\nhello")


@trap("http1/upgrade", "so is an upgrade to h2c, which is spoken with prior knowledge only")
def http1_upgrade(proxy: Proxy) -> str:
    return _http1(proxy, b"GET / HTTP/1.1\r\nhost: mesh.local\r\nconnection: Upgrade, HTTP2-Settings\r\n"
                         b"upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n")


def _client_hello() -> bytes:
    """A TLS 1.2 ClientHello with one cipher suite and ALPN h2."""
    alpn = struct.pack("!HHH", 16, 5, 3) + b"\x02h2"
    body = b"\x03\x03" + bytes(32) + b"\x00" + struct.pack("!HH", 2, 0xC02F) + b"\x01\x00"
    body += struct.pack("!H", len(alpn)) + alpn
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + struct.pack("!H", len(handshake)) + handshake


@trap("tls", "a TLS ClientHello on the clear port gets an alert or the close within a second")
def tls(proxy: Proxy) -> str:
    with proxy.tcp() as tcp:
        tcp.sendall(_client_hello())
        answer, after = read_to_end(tcp, 2)
    alert = answer[:1] == b"\x15"
    expect(alert or after is not None, f"neither alert nor close within 2 s, got {answer[:20]!r}")
    expect(after is None or after < 1.0, f"closed only after {after or 0:.1f} s")
    return "alert" if alert else "closed"


@trap("preface/garbage", "garbage instead of the preface ends in GOAWAY(PROTOCOL_ERROR) or the close, at once")
def garbage(proxy: Proxy) -> str:
    with proxy.tcp() as tcp:
        tcp.sendall(bytes(range(256)) * 4)
        answer, after = read_to_end(tcp, 3)
    expect(after is not None and after < 1.0, "not closed within a second")
    parser = FrameParser()
    received = parser.feed(answer)
    expect(parser.pending == 0, f"answered with bytes that are no frames: {answer[:40]!r}")
    for frame in received:
        expect(frame.type in (frames.SETTINGS, frames.GOAWAY, frames.WINDOW_UPDATE), f"answered with {frame}")
    return f"closed after {(after or 0) * 1000:.0f} ms"


def _closed_around(proxy: Proxy, sent: bytes, low: float, high: float) -> str:
    with proxy.tcp() as tcp:
        tcp.sendall(sent)
        _, after = read_to_end(tcp, high + 1)
    if after is None:
        raise TrapFailure(f"still open after {high + 1:.0f} s")
    expect(low <= after <= high, f"closed after {after:.1f} s, expected {low:.0f} to {high:.0f} s")
    return f"after {after:.1f} s"


@trap("preface/none", "a connection without preface is closed after some five seconds")
def no_preface(proxy: Proxy) -> str:
    return _closed_around(proxy, b"", 3, 8)


@trap("preface/half", "so is one that stops in the middle of the preface")
def half_preface(proxy: Proxy) -> str:
    return _closed_around(proxy, frames.PREFACE[:20], 3, 8)


@trap("preface/no-settings", "so is one that sends the preface without SETTINGS")
def preface_without_settings(proxy: Proxy) -> str:
    return _closed_around(proxy, frames.PREFACE, 3, 8)


@trap("preface/half-closed", "a connection whose client sends its FIN at once is closed, not kept")
def closed_at_once(proxy: Proxy) -> str:
    with proxy.tcp() as tcp:
        tcp.sendall(frames.PREFACE + frames.settings())
        tcp.shutdown(1)
        _, after = read_to_end(tcp, 8)
    expect(after is not None, "still open after 8 s")
    return f"after {after or 0:.1f} s"
