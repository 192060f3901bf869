"""Echo tasks on grpcio's sync server.

    grpc_server.py --task task-a=127.0.0.2:0 --task task-b=127.0.0.3:0

Serves ekiden.echo.v1.Echo and grpc.health.v1, prints {"event": "listening", "name", "address", "port"} per task, and
takes commands on stdin: {"command": "start", "name", "listen"}, {"command": "stop", "name", "grace"},
{"command": "stats"} and {"command": "health", "name", "serving"}. SIGTERM stops all tasks gracefully; the end of
stdin stops them now.
"""

import argparse
import signal
import threading
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from echo import Call, Task
from lines import commands, emit
from messages import UNLIMITED, EchoRequest, echo_pb2_grpc


class SyncCall(Call):
    """A call whose handler runs on a thread: waiting ends early when the caller has gone."""

    def __init__(self, task, context, method):
        super().__init__(task, context, method)
        self._context = context
        self._gone = threading.Event()
        if not context.add_callback(self._terminated):
            self._terminated()

    def _terminated(self):
        remaining = self._remaining(self._context)
        self.end("expired" if remaining is not None and remaining <= 0 else "cancelled")
        self._gone.set()

    def open(self, request):
        if request.initial_metadata:
            self._context.send_initial_metadata(self.fields(request.initial_metadata))
        if request.trailing_metadata:
            self._context.set_trailing_metadata(self.fields(request.trailing_metadata))
        if any(key == "x-echo-compress" for key, _ in self._metadata):
            self._context.set_compression(grpc.Compression.Gzip)

    def pause(self, request):
        """Waits as long as the request wants; False when the caller has gone meanwhile."""
        return not self._gone.wait(request.delay_ms / 1000) if request.delay_ms > 0 else True

    def responses(self, request):
        for _ in range(self.count(request)):
            if not self.pause(request):
                return
            yield self.response(request)

    def finish(self, request):
        """Ends the call as the request wants; does not return when that is not OK."""
        status = self.status(request)
        if status is not None and not self._gone.is_set():
            self.end("failed")
            self._context.abort(*status)
        self.end("ok")


class Echo(echo_pb2_grpc.EchoServicer):
    def __init__(self, task):
        self._task = task

    def Unary(self, request, context):
        call = SyncCall(self._task, context, "Unary")
        call.receive(request)
        return self._answer(call, request)

    def ClientStream(self, request_iterator, context):
        call = SyncCall(self._task, context, "ClientStream")
        first = None
        for request in request_iterator:
            call.receive(request)
            first = first or request
        return self._answer(call, first or EchoRequest())

    def ServerStream(self, request, context):
        call = SyncCall(self._task, context, "ServerStream")
        call.receive(request)
        call.open(request)
        yield from call.responses(request)
        call.finish(request)

    def Bidi(self, request_iterator, context):
        call = SyncCall(self._task, context, "Bidi")
        request = EchoRequest()
        for index, request in enumerate(request_iterator):
            call.receive(request)
            if index == 0:
                call.open(request)
            yield from call.responses(request)
            if request.status_code != 0:
                break
        call.finish(request)

    @staticmethod
    def _answer(call, request):
        call.open(request)
        call.pause(request)
        call.finish(request)
        return call.response(request)


class Server:
    """The running tasks by name."""

    def __init__(self, threads, max_streams):
        self._threads = threads
        self._options = [("grpc.so_reuseport", 0), *UNLIMITED]
        if max_streams:
            self._options.append(("grpc.max_concurrent_streams", max_streams))
        self._tasks = {}

    def start(self, name, listen):
        task = Task(name)
        server = grpc.server(futures.ThreadPoolExecutor(self._threads), options=self._options)
        echo_pb2_grpc.add_EchoServicer_to_server(Echo(task), server)
        status = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(status, server)
        try:
            port = server.add_insecure_port(listen)
        except RuntimeError as error:
            emit("error", message=f"{name} cannot listen on {listen}: {error}")
            return
        server.start()
        self._tasks[name] = (task, server, status)
        emit("listening", name=name, address=listen.rsplit(":", 1)[0], port=port)

    def stop(self, name, grace):
        if name not in self._tasks:
            emit("error", message=f"no task {name!r}")
            return
        task, server, _ = self._tasks.pop(name)
        server.stop(grace).wait()
        emit("stopped", name=name, tasks={name: task.stats()})

    def stop_all(self, grace):
        for _, server, _ in list(self._tasks.values()):
            server.stop(grace)  # returns at once: all tasks drain at the same time
        for name in list(self._tasks):
            self.stop(name, grace)

    def stats(self):
        emit("stats", tasks={name: task.stats() for name, (task, _, _) in self._tasks.items()})

    def health(self, name, serving):
        if name not in self._tasks:
            emit("error", message=f"no task {name!r}")
            return
        states = health_pb2.HealthCheckResponse
        self._tasks[name][2].set("", states.SERVING if serving else states.NOT_SERVING)
        emit("health", name=name, serving=serving)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", action="append", default=[], metavar="NAME=ADDRESS:PORT")
    parser.add_argument("--threads", type=int, default=64, help="calls that a task serves at a time")
    parser.add_argument("--max-streams", type=int, help="MAX_CONCURRENT_STREAMS that a task advertises")
    options = parser.parse_args()

    server = Server(options.threads, options.max_streams)
    for task in options.task:
        server.start(*task.split("=", 1))
    emit("ready")

    def terminate():
        try:
            server.stop_all(grace=30)
        finally:
            leave.set()

    def obey():
        try:
            for command in commands():
                match command["command"]:
                    case "start":
                        server.start(command["name"], command["listen"])
                    case "stop":
                        server.stop(command["name"], command.get("grace", 30))
                    case "stats":
                        server.stats()
                    case "health":
                        server.health(command["name"], command["serving"])
                    case other:
                        emit("error", message=f"unknown command {other!r}")
            server.stop_all(grace=None)
        finally:
            # Also when the test has gone and nobody reads our stdout any more.
            leave.set()

    leave = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=terminate).start())
    threading.Thread(target=obey, daemon=True).start()
    leave.wait()


if __name__ == "__main__":
    main()
