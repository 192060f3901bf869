"""More faults of the scripted upstream: ways to fail that a retry may or may not follow."""

from __future__ import annotations

import asyncio

import frames
from client import message
from upstream_connection import OK_HEADERS, Exchange, Fields
from upstream_faults import FaultyConnection


class TriedConnection(FaultyConnection):
    """`fault_late_status` is `x-fault: late-status`; arguments follow after colons."""

    AT_HEADERS = FaultyConnection.AT_HEADERS | {"early-status"}

    async def fault_late_status(self, exchange: Exchange) -> None:
        """late-status:CODE:MILLISECONDS, headers at once and trailers without a message after them."""
        self.headers(exchange, OK_HEADERS)
        await asyncio.sleep(exchange.number(1, 0) / 1000)
        self.trailers(exchange, exchange.number(0, 14), "not now")

    async def fault_delay_status(self, exchange: Exchange) -> None:
        """delay-status:CODE:MILLISECONDS, nothing at first, then trailers only."""
        await asyncio.sleep(exchange.number(1, 100) / 1000)
        self.only(exchange, [("grpc-status", str(exchange.number(0, 14)))])

    async def fault_message_then_status(self, exchange: Exchange) -> None:
        """message-then-status:CODE, a response that fails behind its first message."""
        self.headers(exchange, OK_HEADERS)
        await self.body(exchange, message(b"ok"))
        self.trailers(exchange, exchange.number(0, 14), "no more")

    async def fault_early_status(self, exchange: Exchange) -> None:
        """early-status:CODE, trailers only while the request is still open, then RST_STREAM(NO_ERROR)."""
        stream = exchange.stream
        self.only(exchange, [("grpc-status", str(exchange.number(0, 14)))])
        self.write(frames.rst_stream(stream, frames.NO_ERROR))

    async def fault_pushback(self, exchange: Exchange) -> None:
        """pushback:VALUE, UNAVAILABLE with `grpc-retry-pushback-ms: VALUE`."""
        self.only(exchange, [("grpc-status", "14"), ("grpc-retry-pushback-ms", exchange.arguments[0])])

    async def fault_late_pushback(self, exchange: Exchange) -> None:
        """late-pushback:VALUE, the same in trailers behind headers."""
        self.headers(exchange, OK_HEADERS)
        self.headers(exchange, [("grpc-status", "14"), ("grpc-retry-pushback-ms", exchange.arguments[0])], True)

    async def fault_rst_after_head(self, exchange: Exchange) -> None:
        """rst-after-head:CODE, headers and no message."""
        self.headers(exchange, OK_HEADERS)
        await asyncio.sleep(0.02)
        self.reset(exchange, exchange.number(0, frames.INTERNAL_ERROR))

    async def fault_rst_mid_message(self, exchange: Exchange) -> None:
        """rst-mid-message:CODE, half a message."""
        self.headers(exchange, OK_HEADERS)
        await self.body(exchange, message(b"x" * 1000)[:500])
        await asyncio.sleep(0.02)
        self.reset(exchange, exchange.number(0, frames.INTERNAL_ERROR))

    async def fault_goaway_close(self, exchange: Exchange) -> None:
        """goaway-close:LAST:CODE, a GOAWAY that covers this stream (LAST `here`, or a number), and no answer."""
        last = exchange.arguments[0] if exchange.arguments else "here"
        number = exchange.stream if last == "here" else int(last)
        self.write(frames.goaway(number, exchange.number(1, frames.NO_ERROR)))
        await asyncio.sleep(0.02)
        self.transport.close()

    def only(self, exchange: Exchange, fields: Fields) -> None:
        """A response without a message: all its fields are in one block."""
        self.headers(exchange, OK_HEADERS + fields, True)
