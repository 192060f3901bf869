#!/usr/bin/env python3
"""Writes the messages that the fuzzer starts from, put together by hand: seeds.py FOLDER"""

import struct
import sys
from pathlib import Path

QUESTION = b"\xc0\x0c"


def name(text: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def record(owner: bytes, kind: int, data: bytes, ttl: int = 60, record_class: int = 1) -> bytes:
    return owner + struct.pack(">HHIH", kind, record_class, ttl, len(data)) + data


def response(asked: str, kind: int, answers=(), authorities=(), additionals=(), flags: int = 0x8180) -> bytes:
    counts = (1, len(answers), len(authorities), len(additionals))
    question = name(asked) + struct.pack(">HH", kind, 1)
    return struct.pack(">HH4H", 0x1234, flags, *counts) + question + b"".join([*answers, *authorities, *additionals])


A, CNAME, SOA, TXT, AAAA, SRV, OPT = 1, 5, 6, 16, 28, 33, 41
option = record(b"\0", OPT, b"\0\x0a\0\2\1\2", ttl=0, record_class=1232)
authority = record(
    name("local"), SOA, name("ns.local") + name("host.local") + struct.pack(">5I", 2026, 7200, 900, 86400, 300)
)
service = "_grpc._tcp.users.local"


def srv(owner: bytes, target: bytes, port: int = 50051) -> bytes:
    return record(owner, SRV, struct.pack(">3H", 1, 5, port) + target)


seeds = {
    "query": struct.pack(">HH4H", 1, 0x0100, 1, 0, 0, 1) + name("users.local") + b"\0\1\0\1" + option,
    "a": response("users.local", A, [record(QUESTION, A, bytes([10, 0, 0, n])) for n in range(8)], [], [option]),
    "aaaa": response("users.local", AAAA, [record(QUESTION, AAAA, bytes(range(16)))]),
    "chain": response(
        "users.local",
        A,
        [
            record(QUESTION, CNAME, b"\x02v2\xc0\x12", ttl=7),
            record(b"\xc0\x29", CNAME, name("v3.local"), ttl=5),
            record(name("v3.local"), A, b"\x0a\0\0\1"),
        ],
    ),
    "loop": response("users.local", A, [record(QUESTION, CNAME, QUESTION)]),
    "srv": response(
        service, SRV, [srv(QUESTION, name("t1.local")), srv(QUESTION, b"\2t2\xc0\x1d"), srv(QUESTION, b"\0", 0)]
    ),
    "nxdomain": response("users.local", A, [], [authority], [option], flags=0x8183),
    "nodata": response("users.local", A, [record(QUESTION, CNAME, name("v2.local"))], [authority]),
    "badvers": response("users.local", A, [], [], [record(b"\0", OPT, b"", ttl=0x01000000, record_class=4096)]),
    "cut": response("users.local", A, flags=0x8380),
    "text": response("users.local", TXT, [record(QUESTION, TXT, b"\4text" + QUESTION)]),
    "chaos": response("users.local", A, [record(QUESTION, A, b"\1\2\3", record_class=3)]),
    "longest": response(".".join(["a" * 63] * 3 + ["a" * 61]), A, [record(QUESTION, A, b"\x0a\0\0\1")]),
}

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for title, message in seeds.items():
    (folder / title).write_bytes(message)
