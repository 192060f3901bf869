"""Runs upstream_cases.json through a proxy: what a caller gets when the upstream misbehaves.

    python3 upstream.py --endpoints 2 &                                  its ports are the proxy's two endpoints
    python3 upstream_check.py --proxy 127.0.0.1:15001

    python3 upstream_check.py --command 'ekiden run --listen {listen} --upstream static://{upstreams}'

With --command the check starts both: {listen} is an address and port, {upstreams} the two endpoints with a comma,
{port}, {port1} and {port2} the three ports alone. Exit status: 0, 1 when a case failed, 2 when the
proxy does not answer.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from client import GRPCConnection, Response, message
import frames

HERE = Path(__file__).resolve().parent
PATH = "/echo.Echo/Unary"


def span(value: float | list[float]) -> tuple[float, float]:
    return (value[0], value[1]) if isinstance(value, list) else (value, value)


class Check:
    """One case against one proxy."""

    def __init__(self, host: str, port: int, case: dict) -> None:
        self.host, self.port, self.case = host, port, case
        self.request_id = f"{case['name']}-{uuid.uuid4().hex[:8]}"
        self.limit = span(case.get("within", [0, 5]))[1] + 3

    def connect(self) -> GRPCConnection:
        return GRPCConnection(self.host, self.port, PATH)

    def problems(self) -> list[str]:
        """What is not as the table says; empty when all is."""
        if "connection" in self.case:
            mode, milliseconds = self.case["connection"]
            restarted = self.control(f"reconnect:{milliseconds}:{mode}")
            if restarted.grpc_status != 0:
                return [f"the upstream could not be told to restart: {restarted}"]
            time.sleep(0.3)  # the old connections close 0.1 s after their GOAWAY
        found = self.exchange()
        if "connection" in self.case:
            self.await_recovery()
        return found + self.ledger_problems()

    def exchange(self) -> list[str]:
        send = self.case.get("send", {})
        extra = [("x-fault", self.case["fault"]), ("x-request-id", self.request_id)]
        if "timeout" in send:
            extra.append(("grpc-timeout", send["timeout"]))
        extra += [(name, value) for name, value in send.get("fields", {}).items()]
        with self.connect() as connection:
            started = time.monotonic()
            streams = [self.start(connection, extra, send) for _ in range(self.case.get("concurrent", 1))]
            responses = [connection.responses[stream] for stream in streams]
            if "cancel" in send or "disconnect" in send:
                connection.wait(lambda: False, send.get("cancel", send.get("disconnect")))
                if "cancel" in send:
                    connection.send(b"".join(frames.rst_stream(stream, frames.CANCEL) for stream in streams))
                    connection.answers()
                return []
            connection.wait(lambda: all(response.done for response in responses), self.limit)
            return [problem for response in responses for problem in self.response_problems(response, started)]

    def start(self, connection: GRPCConnection, extra: list, send: dict) -> int:
        if send.get("open"):
            return connection.request(extra, body=None, end_stream=False)
        if "pieces" in send:
            stream = connection.request(extra, end_stream=False)
            for piece in range(1, send["pieces"]):
                connection.wait(lambda: False, send["gap"])
                connection.send(frames.data(stream, message(b"hello"), end_stream=piece + 1 == send["pieces"]))
            return stream
        if "bytes" in send:
            # The server's window is not tracked here: pieces go out with its acknowledgements of PING between.
            stream = connection.request(extra, body=None, end_stream=False)
            body = message(b"x" * send["bytes"])
            for at in range(0, len(body), 16_384):
                connection.send(frames.data(stream, body[at:at + 16_384], at + 16_384 >= len(body)))
                connection.answers()
                connection.wait(lambda: False, 0.005)
            return stream
        return connection.request(extra)

    def response_problems(self, response: Response, started: float) -> list[str]:
        if not response.done:
            return [f"no end of the response within {self.limit:.0f} s: {response}"]
        found = []
        if not any(self.matches(response, wanted) for wanted in self.case["outcome"]):
            wanted = " or ".join(json.dumps(outcome) for outcome in self.case["outcome"])
            found.append(f"expected {wanted}, got {response}")
        low, high = span(self.case.get("within", [0, 5]))
        seconds = response.finished_at - started
        if not low <= seconds <= high:
            found.append(f"expected the end after {low} to {high} s, it came after {seconds:.3f} s")
        low, high = span(self.case.get("informational", [0, 100_000]))
        if not low <= response.informational <= high:
            found.append(f"expected {low} to {high} interim responses, got {response.informational}")
        return found

    @staticmethod
    def matches(response: Response, wanted: dict) -> bool:
        shapes = {"trailers-only": response.trailers_only, "trailers": bool(response.trailers)}
        return (response.grpc_status == wanted.get("grpc", response.grpc_status)
                and (wanted.get("rst") is None or response.reset == wanted["rst"])
                # RST_STREAM(NO_ERROR) after a complete response is the early end of gRPC, not a failure.
                and ("rst" in wanted or response.reset in (None, frames.NO_ERROR))
                and response.http_status == wanted.get("http", response.http_status)
                and ("end" not in wanted or response.ended)
                and len(response.body) == wanted.get("body", len(response.body))
                and re.search(wanted.get("message", ""), response.grpc_message) is not None
                and shapes.get(wanted.get("shape"), True))

    def ledger_problems(self) -> list[str]:
        """Compares with what the upstream counted; a reset may need a moment to arrive there."""
        deadline = time.monotonic() + 1
        while True:
            found = self._ledger_problems()
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.02)

    def _ledger_problems(self) -> list[str]:
        answer = self.control(f"stats:{self.request_id}")
        if answer.grpc_status != 0:
            return [f"the upstream's counts could not be read: {answer}"]
        ledger = json.loads(bytes(answer.body)[5:])
        found = []
        for key in ("attempts", "executions"):
            low, high = span(self.case.get(key, [0, 1000]))
            if not low <= ledger[key] <= high:
                found.append(f"expected {self.case[key]} {key}, the upstream saw {ledger[key]}")
        wanted = self.case.get("upstream_reset")
        if wanted is not None and ledger["resets"] != [wanted]:
            seen = [frames.error_name(code) for code in ledger["resets"]]
            found.append(f"expected one RST_STREAM({frames.error_name(wanted)}) upstream, it saw {seen}, "
                         f"{ledger['connections_lost']} connections lost")
        return found

    def control(self, command: str) -> Response:
        with self.connect() as connection:
            return connection.call([("x-fault", command), ("x-request-id", "control")])

    def await_recovery(self) -> None:
        """Until the upstream's connections are normal again, so that the next case starts clean."""
        deadline = time.monotonic() + 20
        good = 0
        while good < 4 and time.monotonic() < deadline:
            good = good + 1 if self.control("ok").grpc_status == 0 else 0
            time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def started(command: str) -> Iterator[tuple[str, int]]:
    """Runs the upstream and the proxy of the command; ends both."""
    upstream = subprocess.Popen([sys.executable, str(HERE / "upstream.py"), "--endpoints", "2"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    proxy = None
    try:
        port1, port2 = json.loads(upstream.stdout.readline())["ports"]
        port = free_port()
        arguments = shlex.split(command.format(
            listen=f"127.0.0.1:{port}", upstreams=f"127.0.0.1:{port1},127.0.0.1:{port2}", port=port, port1=port1,
            port2=port2))
        proxy = subprocess.Popen(arguments, stdin=subprocess.DEVNULL)
        yield "127.0.0.1", port
    finally:
        for process in (proxy, upstream):
            if process is not None:
                process.terminate()
        for process in (proxy, upstream):
            if process is not None:
                try:
                    process.wait(3)
                except subprocess.TimeoutExpired:
                    process.kill()


def ready(host: str, port: int, seconds: float = 10) -> bool:
    """Whether a good call succeeds within the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with GRPCConnection(host, port, PATH) as connection:
                if connection.call([("x-fault", "ok")], timeout=2).grpc_status == 0:
                    return True
        except OSError:
            pass
        time.sleep(0.1)
    return False


def run(host: str, port: int, cases: list[dict]) -> int:
    if not ready(host, port):
        print(f"no good answer through {host}:{port}: is the proxy up, with upstream.py behind it?", file=sys.stderr)
        return 2
    failed = 0
    for case in cases:
        started_at = time.monotonic()
        try:
            problems = Check(host, port, case).problems()
        except OSError as error:
            problems = [f"the proxy could not be reached: {error}"]
        seconds = time.monotonic() - started_at
        print(f"{'FAIL' if problems else 'ok  '}  {case['name']}: {case['sentence']} ({seconds:.1f} s)", flush=True)
        for problem in problems:
            print(f"        {problem}", flush=True)
        failed += bool(problems)
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--proxy", metavar="HOST:PORT", help="a running proxy in front of upstream.py")
    target.add_argument("--command", metavar="TEMPLATE", help="a proxy to start")
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--skip", action="append", default=[], metavar="NAME")
    parser.add_argument("--list", action="store_true", help="print the cases and exit")
    options = parser.parse_args()

    cases = [case for case in json.loads((HERE / "upstream_cases.json").read_text())
             if (not options.only or case["name"] in options.only) and case["name"] not in options.skip]
    if not cases:
        parser.error("no case has such a name; see --list")
    if options.list:
        print("\n".join(f"{case['name']}: {case['sentence']}" for case in cases))
        return 0
    if options.command:
        with started(options.command) as (host, port):
            return run(host, port, cases)
    if not options.proxy:
        parser.error("--proxy HOST:PORT or --command TEMPLATE is needed")
    host, _, port = options.proxy.rpartition(":")
    return run(host.strip("[]"), int(port), cases)


if __name__ == "__main__":
    sys.exit(main())
