"""A few unary calls, one after another or all at once, each with all that its caller hears.

    call_list.py --target 127.0.0.1:15001 --count 12 --metadata 'x-fault: on'

Prints {"event": "list", "answers": [{"status", "details", "name", "seconds", "trailers"}, ...]}.
"""

import argparse
import asyncio
import sys
import time

import grpc

from lines import emit
from messages import UNLIMITED, EchoRequest, echo_pb2_grpc


async def call(stub, request, metadata, timeout):
    started = time.monotonic()
    name = details = ""
    call = stub.Unary(request, metadata=metadata, timeout=timeout)
    try:
        name = (await call).name
        status = "OK"
    except grpc.RpcError as error:
        status, details = error.code().name, error.details()
    trailers = {key: value for key, value in await call.trailing_metadata() or () if isinstance(value, str)}
    return {"status": status, "details": details, "name": name, "seconds": time.monotonic() - started,
            "trailers": trailers}


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True, help="as gRPC names it")
    parser.add_argument("--authority", help="instead of the target's own")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--together", action="store_true", help="all at once")
    parser.add_argument("--delay-ms", type=int, default=0, help="how long a task takes to answer")
    parser.add_argument("--status", type=int, default=0, help="the gRPC status that the task is asked for")
    parser.add_argument("--timeout", type=float, default=10, help="deadline of a call in seconds")
    parser.add_argument("--metadata", action="append", default=[], metavar="NAME: VALUE")
    options = parser.parse_args()

    # What the proxy answers is what the caller sees: the library tries nothing again.
    arguments = [*UNLIMITED, ("grpc.enable_retries", 0)]
    if options.authority:
        arguments.append(("grpc.default_authority", options.authority))
    request = EchoRequest(payload=b"list", delay_ms=options.delay_ms, status_code=options.status)
    metadata = [tuple(field.split(": ", 1)) for field in options.metadata]
    async with grpc.aio.insecure_channel(options.target, options=arguments) as channel:
        stub = echo_pb2_grpc.EchoStub(channel)
        await asyncio.wait_for(channel.channel_ready(), 10)
        coming = [call(stub, request, metadata, options.timeout) for _ in range(options.count)]
        if options.together:
            answers = await asyncio.gather(*coming)
        else:
            answers = [await answer for answer in coming]
    emit("list", answers=answers)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
