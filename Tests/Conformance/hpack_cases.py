"""Group `hpack`: header blocks that RFC 7541 calls decoding errors."""

from __future__ import annotations

import frames
import verdict
from connection import Connection
from suite import case


def _decoding_error(c: Connection, before: bytes = b"", after: bytes = b"") -> None:
    c.send(frames.headers(1, before + c.encode(c.request()) + after))
    verdict.connection_error(c, frames.COMPRESSION_ERROR)


@case("hpack/2.3.3", "sends an indexed field with an index beyond both tables")
def indexed_beyond(c: Connection) -> None:
    c.handshake()
    _decoding_error(c, after=b"\xc6")


@case("hpack/2.3.3", "sends a literal field with a name index beyond both tables")
def literal_beyond(c: Connection) -> None:
    c.handshake()
    _decoding_error(c, after=b"\x7f\x07\x00")


@case("hpack/4.2", "sends a dynamic table size update at the end of a block")
def size_update_last(c: Connection) -> None:
    c.handshake()
    _decoding_error(c, after=b"\x21")


# `x-test` as a Huffman-coded name, followed by a value that breaks a rule of RFC 7541 section 5.2.
_NAME = b"\x00\x85\xf2\xb2\x4a\x84\xff"


@case("hpack/5.2", "sends a Huffman string with more than 7 bits of padding")
def long_padding(c: Connection) -> None:
    c.handshake()
    _decoding_error(c, after=_NAME + b"\x84\x49\x50\x9f\xff")


@case("hpack/5.2", "sends a Huffman string padded by zeros")
def zero_padding(c: Connection) -> None:
    c.handshake()
    _decoding_error(c, after=_NAME + b"\x83\x49\x50\x90")


@case("hpack/5.2", "sends a Huffman string that contains EOS")
def end_of_string(c: Connection) -> None:
    c.handshake()
    _decoding_error(c, after=_NAME + b"\x87\xff\xff\xff\xfd\x25\x42\x7f")


@case("hpack/6.1", "sends an indexed field with index 0")
def index_zero(c: Connection) -> None:
    c.handshake()
    _decoding_error(c, after=b"\x80")


def _integer(value: int, prefix_bits: int, pattern: int) -> bytes:
    """RFC 7541 section 5.1."""
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes([pattern | value])
    encoded = bytearray([pattern | limit])
    value -= limit
    while value >= 128:
        encoded.append(0x80 | value & 0x7F)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


@case("hpack/6.3", "sends a dynamic table size update above SETTINGS_HEADER_TABLE_SIZE")
def size_update_above(c: Connection) -> None:
    c.handshake()
    limit = c.settings.get(frames.HEADER_TABLE_SIZE, 4096)
    _decoding_error(c, before=_integer(limit + 1, 5, 0x20))
