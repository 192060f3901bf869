"""HTTP/2 frames as bytes (RFC 9113 section 4 and 6): encoders that refuse nothing, and an incremental parser.

No state machine stands in the way on purpose: the suites here send what a correct peer never would.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0x0, 0x1, 0x2, 0x3, 0x4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0x5, 0x6, 0x7, 0x8, 0x9
TYPE_NAMES = {
    DATA: "DATA", HEADERS: "HEADERS", PRIORITY: "PRIORITY", RST_STREAM: "RST_STREAM", SETTINGS: "SETTINGS",
    PUSH_PROMISE: "PUSH_PROMISE", PING: "PING", GOAWAY: "GOAWAY", WINDOW_UPDATE: "WINDOW_UPDATE",
    CONTINUATION: "CONTINUATION",
}

END_STREAM, ACK, END_HEADERS, PADDED, HAS_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT = 0x0, 0x1, 0x2, 0x3, 0x4
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = 0x5, 0x6, 0x7, 0x8, 0x9
CONNECT_ERROR, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY, HTTP_1_1_REQUIRED = 0xA, 0xB, 0xC, 0xD
ERROR_NAMES = {
    NO_ERROR: "NO_ERROR", PROTOCOL_ERROR: "PROTOCOL_ERROR", INTERNAL_ERROR: "INTERNAL_ERROR",
    FLOW_CONTROL_ERROR: "FLOW_CONTROL_ERROR", SETTINGS_TIMEOUT: "SETTINGS_TIMEOUT",
    STREAM_CLOSED: "STREAM_CLOSED", FRAME_SIZE_ERROR: "FRAME_SIZE_ERROR", REFUSED_STREAM: "REFUSED_STREAM",
    CANCEL: "CANCEL", COMPRESSION_ERROR: "COMPRESSION_ERROR", CONNECT_ERROR: "CONNECT_ERROR",
    ENHANCE_YOUR_CALM: "ENHANCE_YOUR_CALM", INADEQUATE_SECURITY: "INADEQUATE_SECURITY",
    HTTP_1_1_REQUIRED: "HTTP_1_1_REQUIRED",
}

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = 0x1, 0x2, 0x3
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 0x4, 0x5, 0x6

DEFAULT_WINDOW = 65_535
DEFAULT_FRAME_SIZE = 16_384
MAX_WINDOW = 2**31 - 1


def error_name(code: int) -> str:
    return ERROR_NAMES.get(code, f"0x{code:x}")


@dataclass(frozen=True)
class Frame:
    """One received frame, payload as on the wire (padding included)."""

    type: int
    flags: int
    stream: int
    payload: bytes

    @property
    def ack(self) -> bool:
        return bool(self.flags & ACK)

    @property
    def end_stream(self) -> bool:
        return self.type in (DATA, HEADERS) and bool(self.flags & END_STREAM)

    @property
    def error_code(self) -> int:
        """Code of a RST_STREAM or GOAWAY; -1 for a frame that has none."""
        if self.type == RST_STREAM and len(self.payload) >= 4:
            return struct.unpack_from("!I", self.payload)[0]
        if self.type == GOAWAY and len(self.payload) >= 8:
            return struct.unpack_from("!I", self.payload, 4)[0]
        return -1

    @property
    def last_stream(self) -> int:
        """Last-Stream-ID of a GOAWAY."""
        return struct.unpack_from("!I", self.payload)[0] & MAX_WINDOW

    @property
    def debug(self) -> str:
        """Debug text of a GOAWAY."""
        return self.payload[8:].decode("utf-8", "replace")

    def settings(self) -> list[tuple[int, int]]:
        return [struct.unpack_from("!HI", self.payload, at) for at in range(0, len(self.payload) - 5, 6)]

    def body(self) -> bytes:
        """Payload of a DATA, HEADERS or CONTINUATION frame without padding and priority fields."""
        data = self.payload
        if self.type in (DATA, HEADERS) and self.flags & PADDED and data:
            data = data[1:len(data) - data[0]]
        if self.type == HEADERS and self.flags & HAS_PRIORITY:
            data = data[5:]
        return data

    def __str__(self) -> str:
        name = TYPE_NAMES.get(self.type, f"type 0x{self.type:02x}")
        code = f", code {error_name(self.error_code)}" if self.error_code >= 0 else ""
        text = f", \"{self.debug}\"" if self.type == GOAWAY and self.debug else ""
        return f"{name} (length {len(self.payload)}, flags 0x{self.flags:02x}, stream {self.stream}{code}{text})"


def frame(type: int, flags: int = 0, stream: int = 0, payload: bytes = b"", length: int | None = None) -> bytes:
    """Any frame; `length` overrides the length field when a lie is wanted."""
    size = len(payload) if length is None else length
    return struct.pack("!BHBBI", size >> 16 & 0xFF, size & 0xFFFF, type, flags, stream) + payload


def data(stream: int, payload: bytes = b"", end_stream: bool = False, padding: int | None = None) -> bytes:
    flags = END_STREAM if end_stream else 0
    if padding is not None:
        return frame(DATA, flags | PADDED, stream, bytes([padding]) + payload + bytes(padding))
    return frame(DATA, flags, stream, payload)


def headers(stream: int, block: bytes, end_stream: bool = True, end_headers: bool = True,
            padding: int | None = None, priority: bytes | None = None) -> bytes:
    flags = (END_STREAM if end_stream else 0) | (END_HEADERS if end_headers else 0)
    payload = block
    if priority is not None:
        flags |= HAS_PRIORITY
        payload = priority + payload
    if padding is not None:
        flags |= PADDED
        payload = bytes([padding]) + payload + bytes(padding)
    return frame(HEADERS, flags, stream, payload)


def priority_fields(depends_on: int, weight: int = 255, exclusive: bool = False) -> bytes:
    return struct.pack("!IB", depends_on | (0x8000_0000 if exclusive else 0), weight)


def priority(stream: int, depends_on: int = 0, weight: int = 255, exclusive: bool = False) -> bytes:
    return frame(PRIORITY, 0, stream, priority_fields(depends_on, weight, exclusive))


def rst_stream(stream: int, code: int) -> bytes:
    return frame(RST_STREAM, 0, stream, struct.pack("!I", code))


def settings(*entries: tuple[int, int], ack: bool = False) -> bytes:
    return frame(SETTINGS, ACK if ack else 0, 0, b"".join(struct.pack("!HI", *entry) for entry in entries))


def push_promise(stream: int, promised: int, block: bytes) -> bytes:
    return frame(PUSH_PROMISE, END_HEADERS, stream, struct.pack("!I", promised) + block)


def ping(opaque: bytes = bytes(8), ack: bool = False) -> bytes:
    return frame(PING, ACK if ack else 0, 0, opaque)


def goaway(last_stream: int, code: int, debug: bytes = b"") -> bytes:
    return frame(GOAWAY, 0, 0, struct.pack("!II", last_stream, code) + debug)


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, struct.pack("!I", increment))


def continuation(stream: int, block: bytes, end_headers: bool = True) -> bytes:
    return frame(CONTINUATION, END_HEADERS if end_headers else 0, stream, block)


class FrameParser:
    """Cuts a byte stream into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """Bytes of an unfinished frame."""
        return len(self._buffer)

    def feed(self, received: bytes) -> list[Frame]:
        buffer = self._buffer
        buffer += received
        parsed: list[Frame] = []
        at = 0
        while len(buffer) - at >= 9:
            high, low, kind, flags, stream = struct.unpack_from("!BHBBI", buffer, at)
            end = at + 9 + (high << 16 | low)
            if len(buffer) < end:
                break
            parsed.append(Frame(kind, flags, stream & MAX_WINDOW, bytes(buffer[at + 9:end])))
            at = end
        del buffer[:at]
        return parsed
