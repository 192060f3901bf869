"""What the sync and the aio echo server have in common: a task's counters and how a response is made."""

import threading
from urllib.parse import unquote

import grpc

from lines import emit
from messages import EchoResponse

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class Task:
    """One echo server: its name and what it has seen. Safe to use from all threads of its server."""

    def __init__(self, name):
        self.name = name
        self._lock = threading.Lock()
        self._connections = {}
        self._counts = {"calls": 0, "ok": 0, "failed": 0, "cancelled": 0, "expired": 0}

    def begin(self, peer):
        """Counts a call; returns the peer's address and the number of its connection."""
        address = unquote(peer).split(":", 1)[-1]
        with self._lock:
            self._counts["calls"] += 1
            return address, self._connections.setdefault(address, len(self._connections) + 1)

    def end(self, outcome, method):
        """Counts how a call ended, once per call; the test hears of calls that the caller gave up."""
        with self._lock:
            self._counts[outcome] += 1
        if outcome in ("cancelled", "expired"):
            emit(outcome, name=self.name, method=method)

    def stats(self):
        with self._lock:
            return {**self._counts, "connections": len(self._connections)}


class Call:
    """One call at a task: counts its messages and makes its responses. `context` is grpcio's, sync or aio."""

    def __init__(self, task, context, method):
        self.task = task
        self.method = method
        self.peer, self.connection = task.begin(context.peer())
        self._metadata = list(context.invocation_metadata() or ())
        self._time_remaining = self._remaining(context)
        self._messages = self._bytes = self._index = 0
        self._ended = False

    @staticmethod
    def _remaining(context):
        """Seconds to the deadline; None without one, for which the sync server has the end of time."""
        remaining = context.time_remaining()
        return remaining if remaining is not None and remaining < 1e9 else None

    def receive(self, request):
        self._messages += 1
        self._bytes += len(request.payload)

    def response(self, request):
        response = EchoResponse(
            name=self.task.name, peer=self.peer, connection=self.connection, index=self._index,
            payload=bytes(request.response_size) if request.response_size > 0 else request.payload,
            messages_received=self._messages, bytes_received=self._bytes)
        if self._index == 0:
            for key, value in self._metadata:
                response.metadata.add(key=key, value=value if isinstance(value, bytes) else value.encode())
        if self._time_remaining is not None:
            response.time_remaining_ms = int(self._time_remaining * 1000)
        self._index += 1
        return response

    def end(self, outcome):
        """Only the first outcome counts: a call that answered and is then torn down has answered."""
        if not self._ended:
            self._ended = True
            self.task.end(outcome, self.method)

    @staticmethod
    def count(request):
        return request.response_count if request.HasField("response_count") else 1

    @staticmethod
    def status(request):
        """The (code, message) with which the request wants the call to end; None for OK."""
        if request.status_code == 0:
            return None
        code = _CODES.get(request.status_code)
        if code is None:
            return grpc.StatusCode.INVALID_ARGUMENT, f"no gRPC status {request.status_code}"
        return code, request.status_message

    @staticmethod
    def fields(wishes):
        """Metadata wishes as grpcio takes them: bytes for `-bin` keys, text for the rest."""
        return tuple((m.key, m.value if m.key.endswith("-bin") else m.value.decode()) for m in wishes)
