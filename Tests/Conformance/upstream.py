"""A scripted hostile gRPC upstream: raw frames, behaviour chosen per request by its `x-fault` field.

    python3 upstream.py --endpoints 2      prints {"port": 40001, "ports": [40001, 40002]} when ready

All endpoints share one memory, so `refused-first` is refused by one and served by the other. A fault may also be the
end of the path: `/echo.Echo/Unary~close-after-request`. The faults are the methods of upstream_faults.py and
upstream_tries.py; an unknown one is answered UNIMPLEMENTED. `rst:2|trailers-only:14|ok` is one fault for each attempt
of an `x-request-id`, the last for all further ones. `x-fault: stats` answers with the counts of every `x-request-id` as JSON in one message,
`x-fault: stats:ID` with those of one; so does the line `{"cmd": "stats"}` on standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading

from upstream_connection import Memory
from upstream_tries import TriedConnection


def commands(memory: Memory, loop: asyncio.AbstractEventLoop) -> None:
    """Serves standard input until it ends: one JSON command a line."""
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            command = json.loads(line).get("cmd")
        except (ValueError, AttributeError):
            command = None
        if command == "stats":
            loop.call_soon_threadsafe(lambda: print(memory.stats(), flush=True))
        else:
            print(json.dumps({"error": f"expected {{\"cmd\": \"stats\"}}, got {line.strip()}"}), flush=True)


async def serve(options: argparse.Namespace) -> None:
    memory = Memory()
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(lambda: TriedConnection(memory), options.host, port)
               for port in [options.port] + [0] * (options.endpoints - 1)]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    print(json.dumps({"port": ports[0], "ports": ports}), flush=True)
    threading.Thread(target=commands, args=(memory, loop), daemon=True).start()
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="of the first endpoint (default: a free one)")
    parser.add_argument("--endpoints", type=int, default=2, help="listening sockets (default 2)")
    try:
        asyncio.run(serve(parser.parse_args()))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
