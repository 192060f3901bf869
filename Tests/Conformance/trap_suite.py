"""The register of traps, and what they share: the proxy under test, an honest neighbour, a watch on memory."""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import frames
from client import FloodResult, GRPCConnection, Response

MIB = 1024 * 1024


class TrapFailure(Exception):
    """The proxy did not do what the trap's sentence says."""


class TrapSkipped(Exception):
    """The trap can say nothing here, with the reason."""


@dataclass(frozen=True)
class Trap:
    """One behaviour; `run` raises TrapFailure or TrapSkipped and may return a detail for the line."""

    name: str
    sentence: str
    slow: bool
    run: Callable[[Proxy], str | None]


ALL: list[Trap] = []


def trap(name: str, sentence: str, slow: bool = False) -> Callable[[Callable], Callable]:
    def register(body: Callable[[Proxy], str | None]) -> Callable[[Proxy], str | None]:
        ALL.append(Trap(name, sentence, slow, body))
        return body

    return register


def expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise TrapFailure(otherwise)


class Proxy:
    """The proxy under test."""

    def __init__(self, host: str, port: int, path: str, pid: int | None) -> None:
        self.host, self.port, self.path, self.pid = host, port, path, pid
        self._scripted: bool | None = None

    def tcp(self, timeout: float = 5) -> socket.socket:
        """A bare connection, for what is no HTTP/2."""
        return socket.create_connection((self.host, self.port), timeout)

    def connect(self, **arguments) -> GRPCConnection:
        return GRPCConnection(self.host, self.port, self.path, **arguments)

    def ready(self) -> bool:
        try:
            with self.connect() as connection:
                return connection.call().grpc_status is not None
        except OSError:
            return False

    @property
    def scripted(self) -> bool:
        """Whether upstream.py is behind the proxy."""
        if self._scripted is None:
            with self.connect() as connection:
                answer = connection.call([("x-fault", "stats:none")])
            self._scripted = b'"attempts"' in answer.body
        return self._scripted

    def need_scripted(self) -> None:
        if not self.scripted:
            raise TrapSkipped("needs upstream.py behind the proxy")

    def attempts(self, request_id: str) -> int:
        """Requests with this id that reached the upstream; only with upstream.py."""
        with self.connect() as connection:
            answer = connection.call([("x-fault", f"stats:{request_id}")])
        return json.loads(bytes(answer.body)[5:])["attempts"]

    def resident(self) -> int:
        """Bytes of memory of the proxy's process; 0 when no pid was given."""
        if self.pid is None:
            return 0
        with open(f"/proc/{self.pid}/status") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise TrapFailure(f"process {self.pid} has no VmRSS: is it gone?")


def new_id(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:8]}"


def read_to_end(tcp: socket.socket, seconds: float) -> tuple[bytes, float | None]:
    """All bytes until the peer closes, and after how long it did; None when it did not within the time."""
    started = time.monotonic()
    received = bytearray()
    while True:
        left = started + seconds - time.monotonic()
        if left <= 0:
            return bytes(received), None
        tcp.settimeout(left)
        try:
            chunk = tcp.recv(65_536)
        except TimeoutError:
            return bytes(received), None
        except OSError:
            chunk = b""
        if not chunk:
            return bytes(received), time.monotonic() - started
        received += chunk


class Neighbour:
    """An honest client on a connection of its own that calls all the time while the block runs."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.seconds: list[float] = []
        self.lost: list[str] = []

    def __enter__(self) -> Neighbour:
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if kind is None:
            calls = len(self.seconds) + len(self.lost)
            expect(not self.lost, f"an honest client lost {len(self.lost)} of {calls} calls: {''.join(self.lost[:1])}")

    def _run(self) -> None:
        try:
            with self._proxy.connect() as connection:
                while not self._stop.wait(0.01):
                    started = time.monotonic()
                    answer = connection.call(timeout=10)
                    if answer.grpc_status == 0:
                        self.seconds.append(time.monotonic() - started)
                    else:
                        self.lost.append(f"{answer}; {connection.closed}")
                        if connection.closed:
                            return
        except OSError as error:
            self.lost.append(str(error))

    def __str__(self) -> str:
        if not self.seconds:
            return "no honest call"
        ordered = sorted(self.seconds)
        worst = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        return f"honest p99 {worst * 1000:.0f} ms of {len(ordered)}"


class MemoryWatch:
    """The growth of the proxy's memory over the block, at its highest."""

    def __init__(self, proxy: Proxy, limit: int) -> None:
        self._proxy, self._limit = proxy, limit
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._before = self._highest = proxy.resident()

    def __enter__(self) -> MemoryWatch:
        if self._proxy.pid is not None:
            self._thread.start()
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._stop.set()
        if self._proxy.pid is not None:
            self._thread.join()
            if kind is None:
                expect(self.growth < self._limit, f"{self}, the limit is {self._limit / MIB:.0f} MiB")

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            self._highest = max(self._highest, self._proxy.resident())

    @property
    def growth(self) -> int:
        return max(self._highest - self._before, 0)

    def __str__(self) -> str:
        return f"memory +{self.growth / MIB:.1f} MiB" if self._proxy.pid is not None else "memory not watched"


def expect_calm(connection: GRPCConnection, result: FloodResult, limit: int, unit: str) -> None:
    """The flood ended in GOAWAY(ENHANCE_YOUR_CALM) before more than `limit` units were consumed."""
    codes = [frames.error_name(code) for code in connection.goaway_codes] or ["none"]
    expect(result.over, f"{result.sent} {unit} and the connection lives{' but stalls' if result.stalled else ''}")
    expect(frames.ENHANCE_YOUR_CALM in connection.goaway_codes,
           f"ended after {result.sent} {unit}, but GOAWAY says {', '.join(codes)}; {connection.closed}")
    expect(result.sent <= limit, f"ended only after {result.sent} {unit}, the limit is {limit}")
    expect(connection.closed != "", "GOAWAY(ENHANCE_YOUR_CALM) was sent but the connection stays open")


def expect_served(connection: GRPCConnection) -> Response:
    """An honest call on this connection works."""
    answer = connection.call(timeout=10)
    expect(answer.grpc_status == 0, f"an honest call on the same connection got {answer}; {connection.closed}")
    return answer
