"""Traps with header blocks: endless, sliced, compressed bombs, too large, too many."""

from __future__ import annotations

import random
import time

import frames
from client import GRPCConnection
from trap_suite import (
    MIB, MemoryWatch, Neighbour, Proxy, expect, expect_served, trap,
)


def _endless_block(proxy: Proxy, size: int) -> str:
    """CONTINUATION after CONTINUATION, slowly enough to see where the server stops it."""
    with Neighbour(proxy) as neighbour, proxy.connect() as connection:
        stream = connection.new_stream()
        connection.send(frames.headers(stream, connection.encode(connection.fields()), end_headers=False))
        # Literals without indexing: `x` with a value, as often as they fit; an empty fragment when size is 0.
        field = b"\x00\x01x\x0a" + b"v" * 10
        fragment = (field * (size // len(field) + 1))[:size // len(field) * len(field)]
        sent = count = 0
        while count < 400 and not connection.closed and not connection.goaways:
            connection.send(frames.continuation(stream, fragment, end_headers=False))
            count += 1
            sent += len(fragment)
            connection.read(0.005)
        connection.wait(lambda: connection.closed != "", 2)
    codes = [frames.error_name(code) for code in connection.goaway_codes]
    expect(connection.closed != "", f"{count} CONTINUATION frames, {sent} bytes, and the connection lives")
    expect(frames.ENHANCE_YOUR_CALM in connection.goaway_codes,
           f"ended after {count} frames, {sent} bytes without GOAWAY(ENHANCE_YOUR_CALM): {codes}, {connection.closed}")
    # One frame more than the limit is needed to exceed it, and a few are on their way when the GOAWAY comes.
    expect(count <= 40 and sent <= 65_536 + 4 * max(size, 1),
           f"ended only after {count} frames and {sent} bytes, the limits are 32 and 65,536")
    return f"after {count} frames, {sent} bytes, {neighbour}"


@trap("continuation/small", "CONTINUATION frames of 100 bytes without end are ended by GOAWAY(ENHANCE_YOUR_CALM)")
def continuation_small(proxy: Proxy) -> str:
    return _endless_block(proxy, 100)


@trap("continuation/empty", "so are empty ones")
def continuation_empty(proxy: Proxy) -> str:
    return _endless_block(proxy, 0)


@trap("continuation/full", "so are full ones of 16 KiB")
def continuation_full(proxy: Proxy) -> str:
    return _endless_block(proxy, 16_384)


@trap("continuation/slow", "a header block that is not finished within some five seconds ends the connection")
def continuation_slow(proxy: Proxy) -> str:
    with proxy.connect() as connection:
        started = time.monotonic()
        block = connection.encode(connection.fields())
        connection.send(frames.headers(connection.new_stream(), block, end_headers=False))
        connection.wait(lambda: connection.closed != "", 12)
        after = time.monotonic() - started
    expect(connection.closed != "", "the connection lives after 12 s")
    expect(3 <= after <= 9, f"ended after {after:.1f} s, expected some 5 s")
    expect(frames.ENHANCE_YOUR_CALM in connection.goaway_codes,
           f"without GOAWAY(ENHANCE_YOUR_CALM): {connection.closed}")
    return f"after {after:.1f} s"


def _noise(length: int, seed: int) -> str:
    generator = random.Random(seed)
    return "".join(generator.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))


@trap("headers/sliced", "a legal header block of 60 KiB in segments of one byte passes")
def sliced_headers(proxy: Proxy) -> str:
    with proxy.connect(timeout=30) as connection:
        stream = connection.new_stream()
        extra = [(f"x-large-{index}", _noise(4_000, index)) for index in range(15)]
        block = connection.encode(connection.fields(extra), huffman=False)
        pieces = [block[at:at + 4_096] for at in range(0, len(block), 4_096)]
        wire = frames.headers(stream, pieces[0], end_stream=False, end_headers=False)
        for index, piece in enumerate(pieces[1:], 2):
            wire += frames.continuation(stream, piece, end_headers=index == len(pieces))
        wire += frames.data(stream, b"\0\0\0\0\0", end_stream=True)
        for at in range(len(wire)):
            connection.send(wire[at:at + 1])
            if connection.closed:
                break
            if at % 512 == 0:
                connection.read(0)
        response = connection.responses[stream]
        connection.wait(lambda: response.done or connection.closed != "", 30)
    codes = [frames.error_name(code) for code in connection.goaway_codes]
    expect(response.grpc_status == 0, f"got {response}; GOAWAY {codes}, {connection.closed}")
    return f"{len(block)} bytes in {len(pieces)} frames"


def _bomb(connection: GRPCConnection, stream: int) -> bytes:
    """One HEADERS of 16 KiB: an entry of 4 KiB enters the dynamic table and is referred to till the frame is full."""
    # Never indexed: the entry below empties the dynamic table without the encoder's knowledge.
    base = connection.encode([(name, value, True) for name, value in connection.fields()])
    value = b"b" * 4_000
    entry = b"\x40\x01z\x7f" + bytes([0x80 | (len(value) - 127) & 0x7F, (len(value) - 127) >> 7]) + value
    references = b"\xbe" * (frames.DEFAULT_FRAME_SIZE - len(base) - len(entry))
    return frames.headers(stream, base + entry + references)


@trap("headers/bomb", "an HPACK bomb on 100 streams is answered or ends its connection, and memory stays")
def hpack_bomb(proxy: Proxy) -> str:
    answered = killed = 0
    with proxy.connect() as warm:
        expect_served(warm)
    with Neighbour(proxy) as neighbour, MemoryWatch(proxy, 8 * MIB) as memory:
        while answered + killed < 100:
            with proxy.connect() as connection:
                while answered + killed < 100 and not connection.closed and not connection.goaways:
                    stream = connection.new_stream()
                    connection.send(_bomb(connection, stream))
                    response = connection.responses[stream]
                    connection.wait(lambda: response.done or bool(connection.goaways) or connection.closed != "", 10)
                    if connection.goaways or connection.closed:
                        killed += 1
                    else:
                        expect(response.grpc_status == 8 or response.http_status == 431 or response.reset is not None,
                               f"a bomb of some 49 MB got {response}")
                        answered += 1
    end = f" by {connection.goaway_codes or connection.closed}" if killed else ""
    return f"{answered} answered, {killed} ended{end}, {memory}, {neighbour}"


def _too_large(proxy: Proxy, extra: list[tuple[str, str]]) -> str:
    with proxy.connect() as connection:
        stream = connection.new_stream()
        block = connection.encode(connection.fields(extra), huffman=False)
        pieces = [block[at:at + 16_384] for at in range(0, len(block), 16_384)]
        wire = frames.headers(stream, pieces[0], end_stream=False, end_headers=len(pieces) == 1)
        for index, piece in enumerate(pieces[1:], 2):
            wire += frames.continuation(stream, piece, end_headers=index == len(pieces))
        connection.send(wire + frames.data(stream, b"\0\0\0\0\0", end_stream=True))
        response = connection.responses[stream]
        connection.wait(lambda: response.done or connection.closed != "", 5)
        expect(response.grpc_status == 8 and response.trailers_only,
               f"expected trailers-only grpc-status 8, got {response}; {connection.closed}")
        expect_served(connection)
    return response.grpc_message


@trap("headers/bytes", "a request with 72,000 bytes of fields is answered RESOURCE_EXHAUSTED and its connection lives")
def too_many_bytes(proxy: Proxy) -> str:
    return _too_large(proxy, [(f"x-large-{index}", _noise(4_000, index)) for index in range(18)])


@trap("headers/fields", "so is one with 200 fields")
def too_many_fields(proxy: Proxy) -> str:
    return _too_large(proxy, [(f"x-field-{index}", "v") for index in range(200)])


@trap("headers/repeated", "so is one with a small field repeated 3,000 times by index")
def repeated_field(proxy: Proxy) -> str:
    return _too_large(proxy, [("x-field", "v")] * 3_000)


@trap("headers/enough", "a request with 120 fields passes")
def enough_fields(proxy: Proxy) -> None:
    with proxy.connect() as connection:
        answer = connection.call([(f"x-field-{index}", "v") for index in range(114)])
        expect(answer.grpc_status == 0, f"got {answer}; {connection.closed}")
