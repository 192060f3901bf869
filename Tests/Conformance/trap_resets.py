"""Traps with streams that end before their time: rapid reset, honest deadlines, MadeYouReset, mass disconnect."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator

import frames
from client import GRPCConnection, flood
from trap_suite import Neighbour, Proxy, expect, expect_calm, expect_served, new_id, trap

# What may be in flight beyond a limit: one batch that was sent before the GOAWAY arrived.
BATCH = 50


@trap("reset/rapid", "5,000 pairs of HEADERS and RST_STREAM are ended by GOAWAY(ENHANCE_YOUR_CALM) within 600")
def rapid_reset(proxy: Proxy) -> str:
    identifier = new_id("rapid")

    def pairs(connection: GRPCConnection) -> Iterator[bytes]:
        for _ in range(5_000):
            stream, opening = connection.opening([("x-request-id", identifier), ("x-fault", "never")])
            yield opening + frames.rst_stream(stream, frames.CANCEL)

    with Neighbour(proxy) as neighbour, proxy.connect() as connection:
        result = flood(connection, pairs(connection), BATCH)
    expect_calm(connection, result, 600 + BATCH, "pairs")
    reached = ""
    if proxy.scripted:
        count = proxy.attempts(identifier)
        expect(count <= 150, f"{count} of the cancelled requests reached the upstream, at most 150 may")
        reached = f", {count} reached the upstream"
    return f"after {result.sent}{reached}, {neighbour}"


@trap("reset/deadlines", "3,000 calls that are cancelled at their own deadline never end the connection")
def honest_deadlines(proxy: Proxy) -> str:
    per_second, seconds, deadline = 1_000, 3, 0.1
    with proxy.connect() as connection:
        due: deque[tuple[float, int]] = deque()
        at_once = min(connection.settings.get(frames.MAX_CONCURRENT_STREAMS, per_second), per_second) - 10
        started = time.monotonic()
        opened = reset = 0
        while (opened < per_second * seconds or due) and not connection.closed and not connection.goaways:
            now = time.monotonic()
            while opened < min(per_second * seconds, (now - started) * per_second) and len(due) < at_once:
                # The request stays open, so that a unary method does not answer before the deadline.
                stream = connection.request([("grpc-timeout", "100m")], body=None, end_stream=False)
                due.append((now + deadline, stream))
                opened += 1
            while due and due[0][0] <= now:
                _, stream = due.popleft()
                connection.send(frames.rst_stream(stream, frames.CANCEL))
                reset += 1
            connection.read(0.001)
        codes = [frames.error_name(code) for code in connection.goaway_codes]
        expect(not connection.closed and not codes, f"killed after {reset} cancels: {codes} {connection.closed}")
        expect_served(connection)
    return f"{reset} cancels"


def _made_you_reset(proxy: Proxy, unit) -> str:
    with Neighbour(proxy) as neighbour, proxy.connect() as connection:
        result = flood(connection, (unit(connection) for _ in range(5_000)), BATCH)
    expect_calm(connection, result, 400 + BATCH, "streams")
    return f"after {result.sent}, {neighbour}"


@trap("made-you-reset/window", "5,000 streams reset for a window overflow are ended by GOAWAY within 400")
def made_you_reset_window(proxy: Proxy) -> str:
    def unit(connection: GRPCConnection) -> bytes:
        stream, opening = connection.opening()
        return opening + frames.window_update(stream, frames.MAX_WINDOW) * 2
    return _made_you_reset(proxy, unit)


@trap("made-you-reset/trailers", "so are streams reset for trailers without END_STREAM")
def made_you_reset_trailers(proxy: Proxy) -> str:
    def unit(connection: GRPCConnection) -> bytes:
        stream, opening = connection.opening()
        trailers = frames.headers(stream, connection.encode([("x-trailer", "1")]), end_stream=False)
        return opening + frames.data(stream, b"\0") + trailers
    return _made_you_reset(proxy, unit)


@trap("made-you-reset/length", "so are streams reset for more DATA than their content-length")
def made_you_reset_length(proxy: Proxy) -> str:
    def unit(connection: GRPCConnection) -> bytes:
        stream, opening = connection.opening([("content-length", "1")])
        return opening + frames.data(stream, b"four")
    return _made_you_reset(proxy, unit)


@trap("made-you-reset/malformed", "so are streams reset for a malformed request")
def made_you_reset_malformed(proxy: Proxy) -> str:
    def unit(connection: GRPCConnection) -> bytes:
        return connection.opening([("UPPER", "case")], end_stream=True)[1]
    return _made_you_reset(proxy, unit)


@trap("reset/disconnect", "a client that leaves 500 open streams behind costs an honest one nothing")
def mass_disconnect(proxy: Proxy) -> str:
    with Neighbour(proxy) as neighbour:
        for _ in range(3):
            with proxy.connect() as connection:
                for _ in range(500):
                    connection.request([("x-fault", "never")], body=None, end_stream=False)
                connection.answers()
        with proxy.connect() as connection:
            expect_served(connection)
            connection.wait(lambda: False, 0.3)
    return str(neighbour)


@trap("closed/late-frames", "WINDOW_UPDATE, RST_STREAM and PRIORITY on streams long closed are ignored")
def late_frames(proxy: Proxy) -> str:
    with proxy.connect() as connection:
        for _ in range(200):
            expect_served(connection)
        for stream in (1, 151, 399):
            connection.send(frames.window_update(stream, 100) + frames.priority(stream)
                            + frames.rst_stream(stream, frames.CANCEL))
        expect_served(connection)
        expect(not connection.goaways, f"GOAWAY({frames.error_name((connection.goaway_codes or [0])[0])})")
    return "after 200 streams"
