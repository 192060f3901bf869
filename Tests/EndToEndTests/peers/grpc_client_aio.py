"""Scenarios of grpcio's asyncio client: as grpc_client.py, for many streams at a time.

    grpc_client_aio.py --target 127.0.0.1:15001 --scenario concurrent --count 1000
"""

import argparse
import asyncio
import sys
import threading
import time

import grpc

from checks import (
    ROUND_ROBIN, SIZES, CheckFailed, Tally, check_deadline, check_metadata, check_time_remaining, metadata_request,
    payload, same, same_status, status_requests)
from lines import commands, emit
from messages import UNLIMITED, EchoRequest, echo_pb2_grpc


async def kinds(stub, _):
    """Each of the four call kinds, with none, one and many messages."""
    same((await stub.Unary(EchoRequest(payload=b"u"))).payload, b"u", "unary")
    for count in (0, 1, 100):
        requests = [EchoRequest(payload=payload(1000, index)) for index in range(count)]
        summed = await stub.ClientStream(iter(requests))
        same((summed.messages_received, summed.bytes_received), (count, 1000 * count), f"client stream of {count}")

        got = [r.index async for r in stub.ServerStream(EchoRequest(payload=b"s", response_count=count))]
        same(got, list(range(count)), f"server stream of {count}")

        got = [r.payload async for r in stub.Bidi(iter(requests))]
        same(got, [r.payload for r in requests], f"bidi of {count}")

    call = stub.Bidi()
    for index in range(20):
        await call.write(EchoRequest(payload=payload(100, index)))
        same((await call.read()).payload, payload(100, index), f"ping-pong {index}")
    await call.done_writing()
    same(await call.read(), grpc.aio.EOF, "end of the ping-pong")
    return {}


async def sizes(stub, _):
    """Messages of 0 bytes to 4 MiB, all sizes at the same time on one connection."""

    async def one(size):
        body = payload(size, seed=size)
        same((await stub.Unary(EchoRequest(payload=body))).payload == body, True, f"unary echo of {size} bytes")
        got = [r.payload == body async for r in stub.Bidi(EchoRequest(payload=body) for _ in range(3))]
        same(got, [True] * 3, f"bidi of 3 × {size} bytes")

    await asyncio.gather(*(one(size) for size in SIZES))
    return {"sizes": SIZES}


async def metadata(stub, _):
    """Text and binary metadata to the task and back in headers and trailers."""
    sent, request = metadata_request()
    call = stub.Unary(request, metadata=sent)
    check_metadata(sent, await call, await call.initial_metadata(), await call.trailing_metadata())

    call = stub.Bidi(iter([request, request]), metadata=sent)
    responses = [response async for response in call]
    check_metadata(sent, responses[0], await call.initial_metadata(), await call.trailing_metadata())
    return {"fields": len(sent)}


async def deadline(stub, _):
    """The task sees the caller's deadline, and a call that overruns it ends in time."""
    check_time_remaining(await stub.Unary(EchoRequest(), timeout=30), 30)
    slow = EchoRequest(delay_ms=60_000)
    for begin in (
        lambda: _drain(stub.Unary(slow, timeout=0.5)),
        lambda: _drain(stub.ServerStream(slow, timeout=0.5)),
        lambda: _drain(stub.ClientStream(iter([slow]), timeout=0.5)),
        lambda: _drain(stub.Bidi(iter([slow]), timeout=0.5)),
    ):
        started = time.monotonic()
        try:
            await begin()
            raise CheckFailed("no deadline")
        except grpc.RpcError as error:
            check_deadline(error, time.monotonic() - started, 0.5)
    return {"expired": 4}


async def _drain(call):
    """The responses of a call of any kind."""
    if hasattr(call, "__aiter__"):
        return [response async for response in call]
    return [await call]


async def cancellation(stub, _):
    """Streams given up after their first response, with a second one to come."""
    request = EchoRequest(payload=b"c", response_count=2, delay_ms=1000)
    bidi = stub.Bidi()
    await bidi.write(request)
    for call in (stub.ServerStream(request), bidi):
        await call.read()
        call.cancel()
        same(await call.code(), grpc.StatusCode.CANCELLED, "code of a cancelled call")
    same((await stub.Unary(EchoRequest(payload=b"after"))).payload, b"after", "a call after the cancelled ones")
    return {"cancelled": 2}


async def status(stub, _):
    """Each status and each hard text comes through unary and bidi calls as the task sent it."""
    cases = list(status_requests())
    for request, code, text in cases:
        for kind, call in (("unary", stub.Unary(request)), ("bidi", stub.Bidi(iter([request])))):
            try:
                await _drain(call)
                raise CheckFailed(f"{kind}: {code} arrived as OK")
            except grpc.RpcError as error:
                same_status(error, code, text, f"{kind} {code.name}")
    return {"statuses": len(cases)}


async def concurrent(stub, options):
    """`--count` bidi streams open at the same time: all answer once before the first is ended."""
    tally = Tally()
    calls = [stub.Bidi() for _ in range(options.count)]

    async def exchange(call, number):
        await call.write(EchoRequest(payload=payload(200, number)))
        response = await call.read()
        same(response.payload, payload(200, number), f"stream {number}")
        return response.name

    names = await asyncio.gather(*(exchange(call, number) for number, call in enumerate(calls)))
    emit("open", count=len(names))
    await asyncio.gather(*(exchange(call, number + 1) for number, call in enumerate(calls)))
    for call, name in zip(calls, names):
        await call.done_writing()
        same(await call.read(), grpc.aio.EOF, "end of a stream")
        tally.answered(name)
    return tally.facts()


async def held(stub, options):
    """`--count` bidi streams stay open until {"command": "finish"}; then each exchanges a message and ends well."""
    tally = Tally()
    calls, peers = [], []
    for number in range(options.count):
        call = stub.Bidi()
        await call.write(EchoRequest(payload=b"first"))
        peers.append((await call.read()).name)
        calls.append(call)
    emit("held", count=len(calls), split={name: peers.count(name) for name in set(peers)})
    await options.command("finish")
    for call, name in zip(calls, peers):
        try:
            await call.write(EchoRequest(payload=b"last"))
            same((await call.read()).payload, b"last", "the last message of a held stream")
            await call.done_writing()
            same(await call.read(), grpc.aio.EOF, "end of a held stream")
            same(await call.code(), grpc.StatusCode.OK, "status of a held stream")
            tally.answered(name)
        except (grpc.RpcError, asyncio.InvalidStateError):
            # The second is how grpcio says that the call had ended before we wrote.
            tally.failed_with(await call.code(), await call.details())
    return tally.facts()


async def load(stub, options):
    """`--concurrency` callers until {"command": "stop"}; a `progress` event every `--count` calls."""
    tally, interval = Tally(), Tally()
    over = asyncio.create_task(options.command("stop"))

    async def caller(number):
        nonlocal interval
        rounds = 0
        while not over.done():
            rounds += 1
            request = EchoRequest(payload=payload(100, number), response_count=3)
            try:
                call = stub.ServerStream(request) if rounds % 4 == 0 else stub.Unary(request)
                name = (await _drain(call))[0].name
                for counted in (tally, interval):
                    counted.answered(name)
            except grpc.RpcError as error:
                for counted in (tally, interval):
                    counted.failure(error)
            if interval.calls >= options.count:
                emit("progress", **interval.facts(), total=tally.calls)
                interval = Tally()

    await asyncio.gather(*(caller(number) for number in range(options.concurrency)))
    return tally.facts()


SCENARIOS = (kinds, sizes, metadata, deadline, cancellation, status, concurrent, held, load)


class Options(argparse.Namespace):
    async def command(self, wanted):
        """Returns when the test says `wanted`, or closes our stdin."""
        loop = asyncio.get_running_loop()
        said = loop.create_future()

        def read():
            for command in commands():
                if command["command"] == wanted:
                    break
            loop.call_soon_threadsafe(said.set_result, None)

        threading.Thread(target=read, daemon=True).start()
        await said


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True, help="as gRPC names it: 127.0.0.1:1, unix:/path, ipv4:a:1,b:2")
    parser.add_argument("--scenario", required=True, choices=[scenario.__name__ for scenario in SCENARIOS])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--round-robin", action="store_true", help="balance over the target's addresses")
    options = parser.parse_args(namespace=Options())

    scenario = next(scenario for scenario in SCENARIOS if scenario.__name__ == options.scenario)
    extra = [*ROUND_ROBIN] if options.round_robin else []
    try:
        async with grpc.aio.insecure_channel(options.target, options=[*UNLIMITED, *extra]) as channel:
            facts = await scenario(echo_pb2_grpc.EchoStub(channel), options)
    except CheckFailed as failure:
        emit("result", scenario=options.scenario, ok=False, error=str(failure))
        return 1
    except grpc.RpcError as error:
        emit("result", scenario=options.scenario, ok=False, error=f"{error.code().name}: {error.details()}")
        return 1
    emit("result", scenario=options.scenario, ok=True, facts=facts)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
