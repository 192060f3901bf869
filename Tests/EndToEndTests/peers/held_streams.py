"""Streams that stay open until their task ends them: for tests of what a deploy does to them.

    held_streams.py --target 127.0.0.1:15001 --count 20

Keeps that many ServerStream calls open; when a task ends one, the next is opened. Prints `opened` when all have their
first response, and {"event": "ended", "name", "message"} for each that ends: whose it was, and its status as
`CODE: details`. The command `stop` cancels the rest, prints `stopped` and exits.
"""

import argparse
import asyncio
import sys
import threading

import grpc

from lines import commands, emit
from messages import UNLIMITED, EchoRequest, echo_pb2_grpc


class Streams:
    def __init__(self, stub, count):
        self._stub = stub
        self._waiting = count

    async def keep(self):
        """One stream after another."""
        while True:
            name = ""
            call = self._stub.ServerStream(EchoRequest(), metadata=[("x-echo-hold", "yes")])
            try:
                async for response in call:
                    name = response.name
                    self._waiting -= 1
                    if self._waiting == 0:
                        emit("opened")
                message = "OK"
            except grpc.RpcError as error:
                message = f"{error.code().name}: {error.details()}"
            emit("ended", name=name, message=message)
            if not name:
                # Nothing to keep open there: the test will say so, and need not hear it a thousand times a second.
                await asyncio.sleep(0.1)


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True, help="as gRPC names it")
    parser.add_argument("--count", type=int, default=20)
    options = parser.parse_args()

    # What the proxy answers is what the caller sees: the library tries nothing again.
    channel = grpc.aio.insecure_channel(options.target, options=[*UNLIMITED, ("grpc.enable_retries", 0)])
    streams = Streams(echo_pb2_grpc.EchoStub(channel), options.count)
    loop = asyncio.get_running_loop()
    over = loop.create_future()

    def listen_to_test():
        for command in commands():
            if command["command"] == "stop":
                break
        loop.call_soon_threadsafe(over.set_result, None)

    threading.Thread(target=listen_to_test, daemon=True).start()
    tasks = [asyncio.create_task(streams.keep()) for _ in range(options.count)]
    await over
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    emit("stopped")
    await channel.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
