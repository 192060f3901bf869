"""A server for the interop cases client_compressed_unary and client_compressed_streaming.

    compressed_server.py 127.0.0.2

The cases ask the server whether a message arrived compressed, which gRPC's libraries do not tell and the official Ruby
server therefore does not check. So this one reads HTTP/2 itself (hyper-h2) and looks at the flag before each message.
Prints {"event": "listening", "address", "port"}; the end of stdin ends it.
"""

import asyncio
import gzip
import struct
import sys
import threading
from pathlib import Path

import h2.config
import h2.connection
import h2.events

from lines import commands, emit
from messages import generated

messages, _ = generated(Path(__file__).with_name("compressed.proto"))

INVALID_ARGUMENT, UNIMPLEMENTED = 3, 12


class Refused(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def split(body):
    """(compressed, message) of each length-prefixed message."""
    while body:
        flag, length = struct.unpack_from(">BI", body)
        message, body = body[5:5 + length], body[5 + length:]
        yield bool(flag), gzip.decompress(message) if flag else message


def parsed(kind, flag, message):
    """The message, if it arrived as compressed as it says it expects to."""
    request = kind.FromString(message)
    if request.HasField("expect_compressed") and request.expect_compressed.value != flag:
        raise Refused(INVALID_ARGUMENT, f"expected compressed: {request.expect_compressed.value}, arrived: {flag}")
    return request


def answer(path, body):
    """The response to a whole request."""
    if path == "/grpc.testing.TestService/UnaryCall":
        [(flag, message)] = split(body)
        request = parsed(messages.SimpleRequest, flag, message)
        return messages.SimpleResponse(payload=messages.Payload(body=bytes(request.response_size)))
    if path == "/grpc.testing.TestService/StreamingInputCall":
        requests = [parsed(messages.StreamingInputCallRequest, flag, message) for flag, message in split(body)]
        return messages.StreamingInputCallResponse(aggregated_payload_size=sum(len(r.payload.body) for r in requests))
    raise Refused(UNIMPLEMENTED, path)


class Connection(asyncio.Protocol):
    def connection_made(self, transport):
        self._transport = transport
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self._requests = {}
        self._unsent = {}
        self._h2.initiate_connection()
        self._flush()

    def data_received(self, data):
        for event in self._h2.receive_data(data):
            match event:
                case h2.events.RequestReceived(stream_id=stream, headers=headers):
                    self._requests[stream] = (dict(headers)[":path"], bytearray())
                case h2.events.DataReceived(stream_id=stream, data=piece):
                    self._requests[stream][1].extend(piece)
                    self._h2.acknowledge_received_data(event.flow_controlled_length, stream)
                case h2.events.StreamEnded(stream_id=stream):
                    self._respond(stream, *self._requests.pop(stream))
                case h2.events.StreamReset(stream_id=stream):
                    self._requests.pop(stream, None)
                    self._unsent.pop(stream, None)
        for stream in list(self._unsent):
            self._send(stream)
        self._flush()

    def _respond(self, stream, path, body):
        headers = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-accept-encoding", "identity,gzip")]
        try:
            response = answer(path, bytes(body)).SerializeToString()
        except Refused as refusal:
            status = [("grpc-status", str(refusal.status)), ("grpc-message", str(refusal))]
            self._h2.send_headers(stream, headers + status, end_stream=True)
        else:
            self._h2.send_headers(stream, headers)
            self._unsent[stream] = struct.pack(">BI", 0, len(response)) + response

    def _send(self, stream):
        """As much of a response as the windows take; the rest when they open."""
        body = self._unsent[stream]
        while body:
            room = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
            if room <= 0:
                self._unsent[stream] = body
                return
            self._h2.send_data(stream, body[:room])
            body = body[room:]
        del self._unsent[stream]
        self._h2.send_headers(stream, [("grpc-status", "0")], end_stream=True)

    def _flush(self):
        self._transport.write(self._h2.data_to_send())


async def main(address):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, address, 0)
    emit("listening", address=address, port=server.sockets[0].getsockname()[1])
    over = asyncio.Event()

    def listen_to_test():
        for _ in commands():
            pass
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=listen_to_test, daemon=True).start()
    await over.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
