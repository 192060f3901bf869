"""The faults of the scripted upstream: what one request, named by its `x-fault`, gets."""

from __future__ import annotations

import asyncio

import frames
from client import message
from upstream_connection import OK_HEADERS, Connection, Exchange


class FaultyConnection(Connection):
    """`fault_rst_after_headers` is `x-fault: rst-after-headers`; arguments follow after colons."""

    # Faults that act as soon as the request's headers are there; all others wait for its end.
    AT_HEADERS = {"rst", "refused", "refused-first", "goaway", "goaway-first", "early", "never"}
    # Faults that mean "not processed": they count as an attempt, not as an execution.
    UNPROCESSED = {"refused", "goaway"}

    def request_started(self, exchange: Exchange) -> None:
        if exchange.fault in self.AT_HEADERS:
            self.start(exchange)

    def request_complete(self, exchange: Exchange) -> None:
        if exchange.fault not in self.AT_HEADERS:
            self.start(exchange)

    def start(self, exchange: Exchange) -> None:
        if self.mode == ["no-settings"]:
            return
        if self.mode == ["max-streams", "0"]:
            # A request that was sent before these SETTINGS arrived.
            self.reset(exchange, frames.REFUSED_STREAM)
            return
        fault = exchange.fault
        if fault.endswith("-first"):
            fault = "ok-at-headers" if exchange.ledger.attempts > 1 else fault.removesuffix("-first")
        if fault not in self.UNPROCESSED:
            exchange.ledger.executions += 1
        self.run(getattr(self, "fault_" + fault.replace("-", "_"), self.fault_unknown)(exchange))

    async def fault_unknown(self, exchange: Exchange) -> None:
        self.headers(exchange, OK_HEADERS + [("grpc-status", "12"), ("grpc-message", "no such fault")], True)

    async def fault_ok(self, exchange: Exchange) -> None:
        await self.respond(exchange)

    async def fault_ok_at_headers(self, exchange: Exchange) -> None:
        """Waits for the request's end itself: the second attempt of a fault that acts at the headers."""
        while not exchange.complete and not exchange.gone:
            await asyncio.sleep(0.001)
        await self.respond(exchange)

    async def fault_stats(self, exchange: Exchange) -> None:
        self.headers(exchange, OK_HEADERS)
        request = exchange.arguments[0] if exchange.arguments else None
        await self.body(exchange, message(self.memory.stats(request).encode()))
        self.trailers(exchange)

    async def fault_reconnect(self, exchange: Exchange) -> None:
        """reconnect:MILLISECONDS:MODE…: answers, then ends all connections; for that long new ones are in MODE.

        Modes: `silent` (accepts, neither reads nor speaks), `no-settings` (reads, never speaks), `max-streams:N`.
        """
        memory = self.memory
        await self.respond(exchange)
        memory.restart(exchange.arguments[1:])
        loop = asyncio.get_running_loop()
        loop.call_later(exchange.number(0, 1000) / 1000, memory.restart, ["normal"])

    async def fault_trailers_only(self, exchange: Exchange) -> None:
        status = str(exchange.number(0, 5))
        self.headers(exchange, OK_HEADERS + [("grpc-status", status), ("grpc-message", "no%20such%20thing")], True)

    async def fault_trailing_space(self, exchange: Exchange) -> None:
        self.headers(exchange, OK_HEADERS)
        await self.body(exchange, message(b"ok"))
        self.trailers(exchange, 3, "oops ")

    async def fault_rst(self, exchange: Exchange) -> None:
        self.reset(exchange, exchange.number(0, frames.INTERNAL_ERROR))

    async def fault_rst_after_headers(self, exchange: Exchange) -> None:
        self.headers(exchange, OK_HEADERS)
        await self.body(exchange, message(b"ok"))
        self.reset(exchange, exchange.number(0, frames.INTERNAL_ERROR))

    async def fault_refused(self, exchange: Exchange) -> None:
        self.reset(exchange, frames.REFUSED_STREAM)

    async def fault_goaway(self, exchange: Exchange) -> None:
        """goaway:LAST:CODE, LAST being `below` (this stream is not processed) or a number."""
        last = exchange.arguments[0] if exchange.arguments else "below"
        number = max(exchange.stream - 2, 0) if last == "below" else int(last)
        self.write(frames.goaway(number, exchange.number(1, frames.NO_ERROR)))
        self.leaving = True
        self.forget(exchange)

    async def fault_goaway_then_ok(self, exchange: Exchange) -> None:
        """A graceful end: GOAWAY that covers this stream, then its response, then the close."""
        self.finish(frames.NO_ERROR)
        await asyncio.sleep(0.05)
        await self.respond(exchange)

    async def fault_close_after_request(self, exchange: Exchange) -> None:
        self.transport.close()

    async def fault_abort_after_request(self, exchange: Exchange) -> None:
        self.transport.abort()

    async def fault_close_after_headers(self, exchange: Exchange) -> None:
        self.headers(exchange, OK_HEADERS)
        await asyncio.sleep(0.05)
        self.transport.close()

    async def fault_close_mid_message(self, exchange: Exchange) -> None:
        self.headers(exchange, OK_HEADERS)
        await self.body(exchange, message(b"x" * 1000)[:500])
        await asyncio.sleep(0.05)
        self.transport.close()

    async def fault_data_before_headers(self, exchange: Exchange) -> None:
        self.write(frames.data(exchange.stream, message(b"ok")))

    async def fault_window_update_zero(self, exchange: Exchange) -> None:
        self.write(frames.window_update(exchange.stream, 0))

    async def fault_status_000(self, exchange: Exchange) -> None:
        self.headers(exchange, [(":status", "000"), ("content-type", "application/grpc")])
        self.trailers(exchange)

    async def fault_no_status(self, exchange: Exchange) -> None:
        self.headers(exchange, [("content-type", "application/grpc")])
        self.trailers(exchange)

    async def fault_1xx(self, exchange: Exchange) -> None:
        """1xx:COUNT interim responses before the good answer."""
        for index in range(exchange.number(0, 1)):
            self.headers(exchange, [(":status", "103"), ("x-interim", "yes")])
            if index % 100 == 99:
                await asyncio.sleep(0)
            if exchange.gone:
                return
        await self.respond(exchange)

    async def fault_headers(self, exchange: Exchange) -> None:
        """headers:COUNT additional response fields of some 100 bytes."""
        await self.respond(exchange, [(f"x-field-{index}", "v" * 90) for index in range(exchange.number(0, 10))])

    async def fault_header_bytes(self, exchange: Exchange) -> None:
        """header-bytes:COUNT in a few large fields."""
        size = exchange.number(0, 1000)
        await self.respond(exchange, [(f"x-large-{at}", "v" * min(4000, size - at)) for at in range(0, size, 4000)])

    async def fault_html(self, exchange: Exchange) -> None:
        """html:STATUS, what a web server in front of a task would say."""
        status = str(exchange.number(0, 503))
        self.headers(exchange, [(":status", status), ("content-type", "text/html")])
        await self.body(exchange, b"<html>no</html>", end_stream=True)

    async def fault_early(self, exchange: Exchange) -> None:
        """A full response while the request is still open, then RST_STREAM(NO_ERROR)."""
        stream = exchange.stream
        self.headers(exchange, OK_HEADERS)
        await self.body(exchange, message(b"ok"))
        self.trailers(exchange)
        self.write(frames.rst_stream(stream, frames.NO_ERROR))

    async def fault_never(self, exchange: Exchange) -> None:
        pass

    async def fault_never_after_headers(self, exchange: Exchange) -> None:
        self.headers(exchange, OK_HEADERS)

    async def fault_no_trailers(self, exchange: Exchange) -> None:
        self.headers(exchange, OK_HEADERS)
        await self.body(exchange, message(b"ok"), end_stream=True)

    async def fault_empty_data(self, exchange: Exchange) -> None:
        """empty-data:COUNT empty DATA frames around the message."""
        self.headers(exchange, OK_HEADERS)
        empty = frames.data(exchange.stream) * exchange.number(0, 3)
        self.write(empty)
        await self.body(exchange, message(b"ok"))
        self.write(empty)
        self.trailers(exchange)

    async def fault_trickle(self, exchange: Exchange) -> None:
        """trickle:BYTES:MILLISECONDS, one byte at a time."""
        self.headers(exchange, OK_HEADERS)
        for byte in message(b"x" * exchange.number(0, 20)):
            await self.body(exchange, bytes([byte]))
            await asyncio.sleep(exchange.number(1, 10) / 1000)
        self.trailers(exchange)

    async def fault_size(self, exchange: Exchange) -> None:
        """size:BYTES, one large message."""
        self.headers(exchange, OK_HEADERS)
        await self.body(exchange, message(b"x" * exchange.number(0, 1000)))
        self.trailers(exchange)

    async def fault_delay(self, exchange: Exchange) -> None:
        """delay:MILLISECONDS before the good answer."""
        await asyncio.sleep(exchange.number(0, 100) / 1000)
        await self.respond(exchange)
