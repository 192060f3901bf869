"""Unary calls at a fixed rate, whatever their outcome, each with its times: for tests of what a moment does to callers.

    paced_client.py --target 127.0.0.1:15001 --rate 200

The calls go round the authorities, so that one load reaches several clusters. Commands: `take` prints a `calls` event
with the calls that have ended since the last one; `stop` waits for those in flight, prints the rest and exits.

A `calls` event is {"texts": [...], "calls": [[start, end, status, name, authority, payload], ...]}. Times are seconds
of CLOCK_MONOTONIC, the others positions in texts: the status as `OK` or `CODE: details`, the name of the task. The
payload is empty unless the calls are numbered.
"""

import argparse
import asyncio
import sys
import threading
import time

import grpc

from lines import commands, emit
from messages import UNLIMITED, EchoRequest, echo_pb2_grpc

# What the proxy answers is what the caller sees: the library tries nothing again.
OPTIONS = [*UNLIMITED, ("grpc.enable_retries", 0)]


class Load:
    def __init__(self, channels, options):
        self._channels = channels
        self._request = EchoRequest(payload=b"paced", delay_ms=options.delay_ms, status_code=options.status)
        self._numbered = options.numbered
        self._interval = 1 / options.rate
        self._timeout = options.timeout
        self._ended = []
        self._open = set()

    async def run(self, over):
        started, number = time.monotonic(), 0
        while not over.done():
            authority, stub = self._channels[number % len(self._channels)]
            task = asyncio.create_task(self._call(authority, stub, str(number) if self._numbered else ""))
            self._open.add(task)
            task.add_done_callback(self._open.discard)
            number += 1
            # By the schedule and not by the last call's end: a stall must not lower the load.
            wait = started + number * self._interval - time.monotonic()
            await asyncio.sleep(max(wait, 0))
        if self._open:
            await asyncio.wait(self._open)
        self.take()

    async def _call(self, authority, stub, number):
        request = self._request
        if number:
            request = EchoRequest()
            request.CopyFrom(self._request)
            request.payload = number.encode()
        started = time.monotonic()
        name = ""
        try:
            name = (await stub.Unary(request, timeout=self._timeout)).name
            status = "OK"
        except grpc.RpcError as error:
            status = f"{error.code().name}: {error.details()}"
        self._ended.append((started, time.monotonic(), status, name, authority, number))

    def take(self):
        texts = {}
        calls = [
            [round(started, 6), round(ended, 6), *(texts.setdefault(text, len(texts)) for text in rest)]
            for started, ended, *rest in self._ended]
        self._ended = []
        emit("calls", texts=list(texts), calls=calls)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True, help="as gRPC names it")
    parser.add_argument("--rate", type=float, default=200, help="calls per second")
    parser.add_argument("--delay-ms", type=int, default=0, help="how long a task takes to answer")
    parser.add_argument("--timeout", type=float, default=20, help="deadline of a call in seconds")
    parser.add_argument("--status", type=int, default=0, help="the gRPC status that tasks are asked for")
    parser.add_argument("--numbered", action="store_true", help="the payload is the call's number")
    parser.add_argument("--authority", action="append", default=[])
    options = parser.parse_args()

    channels = []
    for authority in options.authority or [options.target]:
        channel = grpc.aio.insecure_channel(
            options.target, options=[*OPTIONS, ("grpc.default_authority", authority)])
        channels.append((authority, echo_pb2_grpc.EchoStub(channel)))

    loop = asyncio.get_running_loop()
    over = loop.create_future()
    load = Load(channels, options)

    def listen_to_test():
        for command in commands():
            if command["command"] == "stop":
                break
            loop.call_soon_threadsafe(load.take)
        loop.call_soon_threadsafe(over.set_result, None)

    threading.Thread(target=listen_to_test, daemon=True).start()
    emit("ready")
    await load.run(over)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
