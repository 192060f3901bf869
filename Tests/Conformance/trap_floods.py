"""Traps with legal but useless frames, and with clients that do not read."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable
from itertools import repeat

import frames
from client import GRPCConnection, flood
from trap_suite import (
    MIB, MemoryWatch, Neighbour, Proxy, expect, expect_calm, expect_served, trap,
)

# The budget of suspicious frames, and what it regains while a flood of a few seconds runs (330 a second).
BUDGET = 10_010
REFILL = 3_300
BATCH = 200


def _ends(proxy: Proxy, units: Iterable[bytes], limit: int = BUDGET + REFILL, open_stream: bool = False) -> str:
    """The flood ends its connection with GOAWAY(ENHANCE_YOUR_CALM)."""
    with Neighbour(proxy) as neighbour, MemoryWatch(proxy, 8 * MIB) as memory, proxy.connect() as connection:
        if open_stream:
            connection.request(body=None, end_stream=False)
        result = flood(connection, units, BATCH)
    expect_calm(connection, result, limit + BATCH, "frames")
    return f"after {result.sent}, {memory}, {neighbour}"


def _ends_or_answers(proxy: Proxy, units: Iterable[bytes], limit: int) -> str:
    """The flood ends its connection, or every frame is taken and honest calls are answered beside it."""
    with Neighbour(proxy) as neighbour, MemoryWatch(proxy, 8 * MIB) as memory, proxy.connect() as connection:
        result = flood(connection, units, BATCH)
        if not result.over:
            expect(not result.stalled, f"stalls after {result.sent} frames, with neither answer nor GOAWAY")
            expect_served(connection)
            return f"{result.sent} answered, {memory}, {neighbour}"
    expect_calm(connection, result, limit + BATCH, "frames")
    return f"ended after {result.sent}, {memory}, {neighbour}"


@trap("flood/empty-data", "20,000 empty DATA frames are ended by GOAWAY(ENHANCE_YOUR_CALM) within the budget")
def empty_data(proxy: Proxy) -> str:
    return _ends(proxy, repeat(frames.data(1), 20_000), open_stream=True)


@trap("flood/priority", "so are 20,000 PRIORITY frames on idle streams")
def priority(proxy: Proxy) -> str:
    return _ends(proxy, (frames.priority(2 * index + 1) for index in range(10_000, 30_000)))


@trap("flood/unknown", "so are 20,000 frames of unknown type")
def unknown(proxy: Proxy) -> str:
    return _ends(proxy, repeat(frames.frame(0xEE, payload=b"12345678"), 20_000))


@trap("flood/window-update", "20,000 window updates of one byte are ended within the budget, or taken")
def window_update(proxy: Proxy) -> str:
    return _ends_or_answers(proxy, repeat(frames.window_update(0, 1), 20_000), BUDGET + REFILL)


@trap("flood/ping", "20,000 PING frames are ended within the budget, or every one is answered")
def ping(proxy: Proxy) -> str:
    return _ends_or_answers(proxy, repeat(frames.ping(b"flood\0\0\0"), 20_000), BUDGET + REFILL)


@trap("flood/settings", "20,000 SETTINGS frames are ended within the budget, or every one is acknowledged")
def settings(proxy: Proxy) -> str:
    unit = frames.settings((frames.INITIAL_WINDOW_SIZE, 65_535))
    return _ends_or_answers(proxy, repeat(unit, 20_000), BUDGET + REFILL)


@trap("flood/settings-entries", "a SETTINGS frame with 2,000 entries ends the connection or is acknowledged")
def settings_entries(proxy: Proxy) -> str:
    with proxy.connect() as connection:
        connection.send(frames.settings(*[(frames.INITIAL_WINDOW_SIZE, 65_535)] * 2_000))
        if connection.answers():
            expect_served(connection)
            return "acknowledged"
        expect(connection.closed != "", "neither acknowledged nor closed")
        return f"GOAWAY {[frames.error_name(code) for code in connection.goaway_codes]}"


def _unread(proxy: Proxy, unit: bytes, count: int) -> str:
    """Nothing of the answers is read: the proxy may close or stop reading, but may not hold them all."""
    with Neighbour(proxy) as neighbour, MemoryWatch(proxy, 8 * MIB) as memory, proxy.tcp(timeout=3) as tcp:
        tcp.sendall(frames.PREFACE + frames.settings())
        sent = 0
        try:
            while sent < count:
                tcp.sendall(unit * 1_000)
                sent += 1_000
            end = "all were taken"
        except TimeoutError:
            end = "then it stopped reading"
        except OSError as error:
            end = f"then {error.strerror}"
        # What was taken is worked off now: watch the neighbour and the memory while it is.
        time.sleep(1)
    return f"{sent}, {end}, {memory}, {neighbour}"


@trap("flood/ping-unread", "200,000 PING frames whose answers nobody reads cost no memory")
def ping_unread(proxy: Proxy) -> str:
    return _unread(proxy, frames.ping(b"flood\0\0\0"), 200_000)


@trap("flood/settings-unread", "200,000 SETTINGS frames whose answers nobody reads cost no memory")
def settings_unread(proxy: Proxy) -> str:
    return _unread(proxy, frames.settings(), 200_000)


@trap("flow/zero-window", "responses that a client never lets in stay bounded: 100 of 1 MiB cost at most 64 KiB each")
def zero_window(proxy: Proxy) -> str:
    proxy.need_scripted()
    with Neighbour(proxy) as neighbour, MemoryWatch(proxy, 100 * 64 * 1024 * 6 // 5 + 8 * MIB) as memory:
        with proxy.connect(initial_window=0, credit=False) as connection:
            streams = [connection.request([("x-fault", "size:1048576")]) for _ in range(100)]
            connection.wait(lambda: all(connection.responses[stream].headers for stream in streams), 5)
            connection.wait(lambda: False, 1.0)
            answered = sum(1 for stream in streams if connection.responses[stream].headers)
            expect(answered == 100, f"headers of only {answered} of 100 responses came; {connection.closed}")
            expect(not any(connection.responses[stream].body for stream in streams), "DATA came without window")
    return f"{memory}, {neighbour}"


@trap("flow/sibling", "a stream that its client does not read stops no other stream of the connection")
def sibling(proxy: Proxy) -> str:
    proxy.need_scripted()
    with proxy.connect(initial_window=0, credit=False) as connection:
        connection.send(frames.window_update(0, 2**30))
        stuck = [connection.request([("x-fault", "size:4194304")]) for _ in range(8)]
        connection.wait(lambda: False, 0.5)
        for _ in range(50):
            stream = connection.request()
            connection.send(frames.window_update(stream, 65_535))
            response = connection.responses[stream]
            connection.wait(lambda: response.done or connection.closed != "", 3)
            expect(response.grpc_status == 0, f"a sibling got {response}; {connection.closed}")
        expect(not any(connection.responses[stream].done for stream in stuck), "a stuck stream was ended early")
    return "50 calls beside 8 stuck streams"


@trap("flow/stall", "a stream that nobody reads for a minute is reset", slow=True)
def write_stall(proxy: Proxy) -> str:
    proxy.need_scripted()
    with proxy.connect(initial_window=0, credit=False) as connection:
        response = connection.responses[connection.request([("x-fault", "size:1048576")])]
        connection.wait(lambda: response.done or connection.closed != "", 75)
        expect(response.reset == frames.CANCEL, f"expected RST_STREAM(CANCEL), got {response}; {connection.closed}")
    return "reset"


@trap("flow/upload", "a request is taken byte by byte in DATA frames of one byte: that is legal streaming")
def tiny_data(proxy: Proxy) -> str:
    with proxy.connect() as connection:
        stream = connection.request(body=None, end_stream=False)
        body = struct.pack("!BI", 0, 15_000) + b"x" * 15_000
        result = flood(connection, (frames.data(stream, body[at:at + 1]) for at in range(len(body))), BATCH)
        expect(not result.over, f"ended after {result.sent}: {connection.goaway_codes} {connection.closed}")
        connection.send(frames.data(stream, end_stream=True))
        response = connection.responses[stream]
        connection.wait(lambda: response.done or connection.closed != "", 10)
        expect(response.grpc_status is not None, f"got {response}; {connection.closed}")
    return f"{len(body)} frames"


@trap("flow/concurrency", "1,000 streams at once, the advertised limit, are all served")
def concurrency(proxy: Proxy) -> str:
    with proxy.connect() as connection:
        limit = min(connection.settings.get(frames.MAX_CONCURRENT_STREAMS, 1_000), 1_000)
        streams = [connection.request() for _ in range(limit)]
        connection.wait(lambda: all(connection.responses[stream].done for stream in streams), 20)
        good = sum(1 for stream in streams if connection.responses[stream].grpc_status == 0)
        expect(good == limit, f"{good} of {limit} were served; {connection.closed}")
    return f"{limit} streams"
