"""Scenarios of grpcio's sync client.

    grpc_client.py --target 127.0.0.1:15001 --scenario kinds

Prints events on the way and at last {"event": "result", "ok", "facts"} or {"event": "result", "ok": false, "error"}.
"""

import argparse
import random
import statistics
import sys
import threading
import time

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from checks import (
    BINARY_VALUES, ECHO, ROUND_ROBIN, SIZES, CheckFailed, Tally, check, check_deadline, check_metadata,
    check_time_remaining, metadata_request, payload, same, same_status, status_requests)
from lines import commands, emit
from messages import UNLIMITED, EchoRequest, echo_pb2_grpc


def kinds(stub, _):
    """Each of the four call kinds, with none, one and many messages."""
    same(stub.Unary(EchoRequest(payload=b"u")).payload, b"u", "unary")
    for count in (0, 1, 100):
        requests = [EchoRequest(payload=payload(1000, index)) for index in range(count)]
        summed = stub.ClientStream(iter(requests))
        same((summed.messages_received, summed.bytes_received), (count, 1000 * count), f"client stream of {count}")

        responses = list(stub.ServerStream(EchoRequest(payload=b"s", response_count=count)))
        same([r.index for r in responses], list(range(count)), f"server stream of {count}")

        responses = list(stub.Bidi(iter(requests)))
        same([r.payload for r in responses], [r.payload for r in requests], f"bidi of {count}")

    # One request, one response, in turn: nothing may be held back until the stream ends.
    turn = threading.Semaphore(1)

    def in_turn():
        for index in range(20):
            turn.acquire()
            yield EchoRequest(payload=payload(100, index))

    answered = 0
    for answered, response in enumerate(stub.Bidi(in_turn()), start=1):
        same(response.payload, payload(100, answered - 1), f"ping-pong {answered}")
        turn.release()
    same(answered, 20, "ping-pong turns")
    return {}


def sizes(stub, _):
    """Messages of 0 bytes to 4 MiB, unary and in streams, byte by byte the same."""
    for size in SIZES:
        body = payload(size, seed=size)
        same(stub.Unary(EchoRequest(payload=body)).payload == body, True, f"unary echo of {size} bytes")
        got = list(stub.ServerStream(EchoRequest(payload=body, response_count=3)))
        same([r.payload == body for r in got], [True] * 3, f"server stream of 3 × {size} bytes")
        summed = stub.ClientStream(EchoRequest(payload=body) for _ in range(3))
        same(summed.bytes_received, 3 * size, f"client stream of 3 × {size} bytes")
        got = list(stub.Bidi(EchoRequest(payload=body) for _ in range(3)))
        same([r.payload == body for r in got], [True] * 3, f"bidi of 3 × {size} bytes")
    return {"sizes": SIZES}


def metadata(stub, _):
    """Text and binary metadata to the task, back in headers and in trailers, with and without an error."""
    sent, request = metadata_request()
    response, call = stub.Unary.with_call(request, metadata=sent)
    check_metadata(sent, response, call.initial_metadata(), call.trailing_metadata())

    call = stub.Bidi(iter([request, request]), metadata=sent)
    responses = list(call)
    check_metadata(sent, responses[0], call.initial_metadata(), call.trailing_metadata())

    request.status_code, request.status_message = 9, "with metadata"
    try:
        stub.Unary(request, metadata=sent)
        raise CheckFailed("a call that must fail did not")
    except grpc.RpcError as error:
        same_status(error, grpc.StatusCode.FAILED_PRECONDITION, "with metadata", "error with metadata")
        check_metadata(sent, None, error.initial_metadata(), error.trailing_metadata())
    return {"fields": len(sent), "binary": len(BINARY_VALUES)}


def deadline(stub, _):
    """The task sees the caller's deadline, and a call that overruns it ends in time."""
    check_time_remaining(stub.Unary(EchoRequest(), timeout=30), 30)
    check(not stub.Unary(EchoRequest()).HasField("time_remaining_ms"), "the task saw a deadline that nobody set")
    slow = EchoRequest(delay_ms=60_000)
    for kind, begin in (
        ("unary", lambda: stub.Unary(slow, timeout=0.5)),
        ("server stream", lambda: list(stub.ServerStream(slow, timeout=0.5))),
        ("client stream", lambda: stub.ClientStream(iter([slow]), timeout=0.5)),
        ("bidi", lambda: list(stub.Bidi(iter([slow]), timeout=0.5))),
    ):
        started = time.monotonic()
        try:
            begin()
            raise CheckFailed(f"{kind}: no deadline")
        except grpc.RpcError as error:
            check_deadline(error, time.monotonic() - started, 0.5)
    same(stub.Unary(EchoRequest(payload=b"after")).payload, b"after", "a call after the deadlines")
    return {"expired": 4}


def cancellation(stub, _):
    """Streams given up after the first of two responses. That the task hears of it, the test sees from its events."""
    request = EchoRequest(payload=b"c", response_count=2, delay_ms=1000)
    for call in (stub.ServerStream(request), stub.Bidi(_endless(request))):
        next(call)
        call.cancel()
        try:
            list(call)
            raise CheckFailed("a cancelled call went on")
        except grpc.RpcError as error:
            same(error.code(), grpc.StatusCode.CANCELLED, "code of a cancelled call")
    same(stub.Unary(EchoRequest(payload=b"after")).payload, b"after", "a call after the cancelled ones")
    return {"cancelled": 2}


def _endless(request):
    yield request
    threading.Event().wait(60)


def status(stub, _):
    """Each status and each hard text comes through all four kinds as the task sent it."""
    cases = list(status_requests())
    for request, code, text in cases:
        for kind, begin, answers in (
            ("unary", lambda: stub.Unary(request), 0),
            ("client stream", lambda: stub.ClientStream(iter([request])), 0),
            ("server stream", lambda: stub.ServerStream(request), 1),
            ("bidi", lambda: stub.Bidi(iter([request])), 1),
        ):
            got = 0
            try:
                result = begin()
                if answers:
                    for _ in result:
                        got += 1
                raise CheckFailed(f"{kind}: {code} arrived as OK")
            except grpc.RpcError as error:
                same_status(error, code, text, f"{kind} {code.name}")
                same(got, answers, f"{kind}: messages before the status")
    return {"statuses": len(cases)}


def trailers_only(stub, options):
    """Errors without a message: the task's own, and the library's for what it does not know."""
    try:
        list(stub.ServerStream(EchoRequest(response_count=0, status_code=5, status_message="nothing here")))
        raise CheckFailed("a call that must fail did not")
    except grpc.RpcError as error:
        same_status(error, grpc.StatusCode.NOT_FOUND, "nothing here", "trailers only")
    with options.channel() as channel:
        for path in (f"{ECHO}Nope", "/no.such.Service/Call"):
            try:
                channel.unary_unary(path)(b"")
                raise CheckFailed(f"{path} answered")
            except grpc.RpcError as error:
                same(error.code(), grpc.StatusCode.UNIMPLEMENTED, path)
    return {}


def compression(_, options):
    """gzip in both directions, and requests of both sorts on one connection."""
    body = b"compressible " * 20_000
    with options.channel(compression=grpc.Compression.Gzip) as channel:
        stub = echo_pb2_grpc.EchoStub(channel)
        for algorithm in (None, grpc.Compression.NoCompression, grpc.Compression.Gzip):
            response = stub.Unary(
                EchoRequest(payload=body), metadata=[("x-echo-compress", "gzip")], compression=algorithm)
            same(response.payload == body, True, f"gzip both ways ({algorithm})")
        got = list(stub.Bidi((EchoRequest(payload=body) for _ in range(5)), metadata=[("x-echo-compress", "gzip")]))
        same([r.payload == body for r in got], [True] * 5, "gzip in a stream")
    return {}


def sequential(_, options):
    """`--count` calls one after the other, over `--channels` connections in turn: how the tasks shared them."""
    tally, connections = Tally(), {}
    channels = [options.channel() for _ in range(options.channels)]
    stubs = [echo_pb2_grpc.EchoStub(channel) for channel in channels]
    for index in range(options.count):
        try:
            response = stubs[index % len(stubs)].Unary(EchoRequest(payload=b"n"))
        except grpc.RpcError as error:
            tally.failure(error)
        else:
            tally.answered(response.name)
            connections.setdefault(response.name, set()).add(response.connection)
    for channel in channels:
        channel.close()
    return {**tally.facts(), "connections": {name: len(numbers) for name, numbers in connections.items()}}


def concurrent(stub, options):
    """`--count` unary calls in flight at a time: each waits at its task until all have been sent."""
    tally = Tally()
    body = random.randbytes(64)
    started = time.monotonic()
    calls = [stub.Unary.future(EchoRequest(payload=body, delay_ms=1000)) for _ in range(options.count)]
    for call in calls:
        try:
            tally.answered(call.result().name)
        except grpc.RpcError as error:
            tally.failure(error)
    return {**tally.facts(), "seconds": time.monotonic() - started}


def load(stub, options):
    """`--concurrency` callers until {"command": "stop"} or the end of stdin; `progress` every `--count` calls."""
    tally, interval, lock, over = Tally(), Tally(), threading.Lock(), threading.Event()

    def note(record):
        nonlocal interval
        with lock:
            record(tally)
            record(interval)
            if interval.calls >= options.count:
                emit("progress", **interval.facts(), total=tally.calls)
                interval = Tally()

    def caller(number):
        rounds = 0
        while not over.is_set():
            rounds += 1
            request = EchoRequest(payload=payload(100, number), response_count=3)
            try:
                if rounds % 4 == 0:
                    responses = list(stub.ServerStream(request))
                    same(len(responses), 3, "responses of a stream under load")
                    name = responses[0].name
                else:
                    name = stub.Unary(request).name
            except grpc.RpcError as error:
                note(lambda t: t.failure(error))
            else:
                note(lambda t: t.answered(name))

    callers = [threading.Thread(target=caller, args=(number,)) for number in range(options.concurrency)]
    for thread in callers:
        thread.start()
    for command in commands():
        if command["command"] == "stop":
            break
    over.set()
    for thread in callers:
        thread.join()
    return tally.facts()


def slow_reader(stub, options):
    """A stream of `--count` × 1 MiB that nobody reads, unary calls beside it, and then the stream to its end."""
    size = 1024 * 1024
    call = stub.ServerStream(EchoRequest(response_size=size, response_count=options.count))
    same(len(next(call).payload), size, "first message of the large stream")
    emit("stalled")
    latencies = []
    for index in range(100):
        started = time.monotonic()
        same(stub.Unary(EchoRequest(payload=payload(1000, index))).payload, payload(1000, index), "neighbour")
        latencies.append((time.monotonic() - started) * 1000)
    emit("measured")
    for command in commands():
        if command["command"] == "read":
            break
    same(sum(len(response.payload) for response in call), (options.count - 1) * size, "rest of the large stream")
    return {"median_ms": statistics.median(latencies), "max_ms": max(latencies)}


def quiet(stub, options):
    """A stream on which nothing happens for `--timeout` seconds, twice."""
    request = EchoRequest(payload=b"q", response_count=2, delay_ms=int(options.timeout * 1000))
    same([r.index for r in stub.ServerStream(request)], [0, 1], "responses of the quiet stream")
    return {}


def reconnect(_, options):
    """A call that waits for a target that is not there yet."""
    with options.channel() as channel:
        stub = echo_pb2_grpc.EchoStub(channel)
        try:
            stub.Unary(EchoRequest(), timeout=20)
            raise CheckFailed("something listens already")
        except grpc.RpcError as error:
            same(error.code(), grpc.StatusCode.UNAVAILABLE, "code without a target")
        call = stub.Unary.future(EchoRequest(payload=b"w"), wait_for_ready=True, timeout=60)
        emit("waiting")
        same(call.result().payload, b"w", "the call that waited")
    return {}


def health(_, options):
    """grpc.health.v1 through the proxy: Check, and the first answer of Watch."""
    with options.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        serving = health_pb2.HealthCheckResponse.SERVING
        same(stub.Check(health_pb2.HealthCheckRequest()).status, serving, "Check")
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        same(next(watch).status, serving, "Watch")
        watch.cancel()
    return {}


def expect(stub, options):
    """One call that must fail; the facts say how, and how soon."""
    started = time.monotonic()
    try:
        response = stub.Unary(EchoRequest(), timeout=options.timeout)
        raise CheckFailed(f"{response.name} answered")
    except grpc.RpcError as error:
        return {"code": error.code().name, "message": error.details(), "seconds": time.monotonic() - started}


SCENARIOS = (
    kinds, sizes, metadata, deadline, cancellation, status, trailers_only, compression, sequential, concurrent, load,
    slow_reader, quiet, reconnect, health, expect)


class Options(argparse.Namespace):
    def channel(self, **arguments):
        """A channel with connections of its own."""
        extra = [*ROUND_ROBIN] if self.round_robin else []
        extra.append(("grpc.use_local_subchannel_pool", 1))
        return grpc.insecure_channel(self.target, options=[*UNLIMITED, *extra], **arguments)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True, help="as gRPC names it: 127.0.0.1:1, unix:/path, ipv4:a:1,b:2")
    parser.add_argument("--scenario", required=True, choices=[scenario.__name__ for scenario in SCENARIOS])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=30)
    parser.add_argument("--round-robin", action="store_true", help="balance over the target's addresses")
    options = parser.parse_args(namespace=Options())

    scenario = next(scenario for scenario in SCENARIOS if scenario.__name__ == options.scenario)
    try:
        with options.channel() as channel:
            facts = scenario(echo_pb2_grpc.EchoStub(channel), options)
    except CheckFailed as failure:
        emit("result", scenario=options.scenario, ok=False, error=str(failure))
        sys.exit(1)
    except grpc.RpcError as error:
        emit("result", scenario=options.scenario, ok=False, error=f"{error.code().name}: {error.details()}")
        sys.exit(1)
    emit("result", scenario=options.scenario, ok=True, facts=facts)


if __name__ == "__main__":
    main()
