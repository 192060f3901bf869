"""Echo tasks on grpcio's asyncio server: as grpc_server.py, for many streams at a time.

    grpc_server_aio.py --task task-a=127.0.0.2:0 --task task-b=127.0.0.3:0

Same services, events and commands. And {"command": "fail", "name", "code"}: from now on the task answers unary calls
with that gRPC status, or with code "0" as it should. A ServerStream with the metadata `x-echo-hold` stays open behind
its first response until the task stops, which ends it with ABORTED and the task's name.
"""

import argparse
import asyncio
import signal
import threading

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from echo import Call, Task
from lines import commands, emit
from messages import UNLIMITED, EchoRequest, echo_pb2_grpc


class AioTask(Task):
    """A task that can be told to misbehave, and keeps a list of the calls that it has run."""

    def __init__(self, name, executions):
        super().__init__(name)
        self.failing = 0
        self.leaving = asyncio.Event()
        # Not buffered: what was written is there when the process is killed in the next moment.
        self._executions = open(executions, "ab", buffering=0) if executions else None

    def executed(self, request):
        if self._executions:
            self._executions.write(request.payload + b"\n")


class AioCall(Call):
    """A call whose handler is a coroutine: grpcio cancels it when the caller has gone."""

    def __init__(self, task, context, method):
        super().__init__(task, context, method)
        self._context = context

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, error, trace):
        if kind is asyncio.CancelledError:
            remaining = self._remaining(self._context)
            self.end("expired" if remaining is not None and remaining <= 0 else "cancelled")
        elif kind is not None:
            self.end("failed")

    @property
    def is_held(self):
        return any(key == "x-echo-hold" for key, _ in self._metadata)

    async def open(self, request):
        if request.initial_metadata:
            await self._context.send_initial_metadata(self.fields(request.initial_metadata))
        if request.trailing_metadata:
            self._context.set_trailing_metadata(self.fields(request.trailing_metadata))
        if any(key == "x-echo-compress" for key, _ in self._metadata):
            self._context.set_compression(grpc.Compression.Gzip)

    async def pause(self, request):
        if request.delay_ms > 0:
            await asyncio.sleep(request.delay_ms / 1000)

    async def responses(self, request):
        for _ in range(self.count(request)):
            await self.pause(request)
            yield self.response(request)

    async def finish(self, request):
        """Ends the call as the request wants; does not return when that is not OK."""
        status = self.status(request)
        if status is not None:
            self.end("failed")
            await self._context.abort(*status)
        self.end("ok")


class Echo(echo_pb2_grpc.EchoServicer):
    def __init__(self, task):
        self._task = task

    async def Unary(self, request, context):
        async with AioCall(self._task, context, "Unary") as call:
            call.receive(request)
            self._task.executed(request)
            if self._task.failing:
                request.status_code, request.status_message = self._task.failing, f"{self._task.name} fails"
            return await self._answer(call, request)

    async def ClientStream(self, request_iterator, context):
        async with AioCall(self._task, context, "ClientStream") as call:
            first = None
            async for request in request_iterator:
                call.receive(request)
                first = first or request
            return await self._answer(call, first or EchoRequest())

    async def ServerStream(self, request, context):
        async with AioCall(self._task, context, "ServerStream") as call:
            call.receive(request)
            await call.open(request)
            async for response in call.responses(request):
                yield response
            if call.is_held:
                await self._task.leaving.wait()
                request.status_code, request.status_message = 10, f"{self._task.name} leaves"
            await call.finish(request)

    async def Bidi(self, request_iterator, context):
        async with AioCall(self._task, context, "Bidi") as call:
            request = EchoRequest()
            first = True
            async for request in request_iterator:
                call.receive(request)
                if first:
                    await call.open(request)
                    first = False
                async for response in call.responses(request):
                    yield response
                if request.status_code != 0:
                    break
            await call.finish(request)

    @staticmethod
    async def _answer(call, request):
        await call.open(request)
        await call.pause(request)
        await call.finish(request)
        return call.response(request)


class Server:
    """The running tasks by name."""

    def __init__(self, options):
        self._services = options.service
        self._executions = options.executions
        self._options = [("grpc.so_reuseport", 0), *UNLIMITED]
        if options.max_streams:
            self._options.append(("grpc.max_concurrent_streams", options.max_streams))
        if options.max_connection_age_ms:
            self._options.append(("grpc.max_connection_age_ms", options.max_connection_age_ms))
            self._options.append(("grpc.max_connection_age_grace_ms", 10_000))
        self._tasks = {}

    async def start(self, name, listen):
        task = AioTask(name, self._executions)
        server = grpc.aio.server(options=self._options)
        echo_pb2_grpc.add_EchoServicer_to_server(Echo(task), server)
        status = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(status, server)
        for service in self._services:
            await status.set(service, health_pb2.HealthCheckResponse.SERVING)
        try:
            port = server.add_insecure_port(listen)
        except RuntimeError as error:
            emit("error", message=f"{name} cannot listen on {listen}: {error}")
            return
        await server.start()
        self._tasks[name] = (task, server, status)
        emit("listening", name=name, address=listen.rsplit(":", 1)[0], port=port)

    async def stop(self, name, grace):
        if name not in self._tasks:
            emit("error", message=f"no task {name!r}")
            return
        task, server, _ = self._tasks.pop(name)
        # GOAWAY first: calls that wait for the end of the task finish behind it.
        stopping = asyncio.create_task(server.stop(grace))
        await asyncio.sleep(0.05)
        task.leaving.set()
        await stopping
        emit("stopped", name=name, tasks={name: task.stats()})

    async def stop_all(self, grace):
        await asyncio.gather(*(self.stop(name, grace) for name in list(self._tasks)))

    def stats(self):
        emit("stats", tasks={name: task.stats() for name, (task, _, _) in self._tasks.items()})

    async def health(self, name, serving, service):
        if name not in self._tasks:
            emit("error", message=f"no task {name!r}")
            return
        states = health_pb2.HealthCheckResponse
        await self._tasks[name][2].set(service, states.SERVING if serving else states.NOT_SERVING)
        emit("health", name=name, serving=serving)

    def fail(self, name, code):
        if name not in self._tasks:
            emit("error", message=f"no task {name!r}")
            return
        self._tasks[name][0].failing = int(code)
        emit("failing", name=name)

    async def obey(self, command):
        match command["command"]:
            case "fail":
                self.fail(command["name"], command["code"])
            case "start":
                await self.start(command["name"], command["listen"])
            case "stop":
                await self.stop(command["name"], command.get("grace", 30))
            case "stats":
                self.stats()
            case "health":
                await self.health(
                    command["name"], command["serving"] in (True, "true"), command.get("service", ""))
            case other:
                emit("error", message=f"unknown command {other!r}")


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", action="append", default=[], metavar="NAME=ADDRESS:PORT")
    parser.add_argument("--max-streams", type=int, help="MAX_CONCURRENT_STREAMS that a task advertises")
    parser.add_argument(
        "--service", action="append", default=[],
        help="what the tasks' health service says SERVING to, besides the empty name")
    parser.add_argument("--executions", metavar="FILE", help="where the payload of each unary call is noted as it runs")
    parser.add_argument("--max-connection-age-ms", type=int, help="after which the library sends GOAWAY")
    options = parser.parse_args()

    server = Server(options)
    for task in options.task:
        await server.start(*task.split("=", 1))
    emit("ready")

    loop = asyncio.get_running_loop()
    leave = loop.create_future()
    inbox = asyncio.Queue()

    def end(grace):
        if not leave.done():
            leave.set_result(grace)

    def listen_to_test():
        for command in commands():
            loop.call_soon_threadsafe(inbox.put_nowait, command)
        loop.call_soon_threadsafe(end, None)

    async def obey():
        while True:
            await server.obey(await inbox.get())

    loop.add_signal_handler(signal.SIGTERM, end, 30)
    threading.Thread(target=listen_to_test, daemon=True).start()
    obeying = asyncio.create_task(obey())
    await server.stop_all(await leave)
    obeying.cancel()


if __name__ == "__main__":
    asyncio.run(main())
