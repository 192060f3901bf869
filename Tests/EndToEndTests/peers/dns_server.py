#!/usr/bin/env python3
"""A scripted DNS server for tests: UDP and TCP on one free port of 127.0.0.1, told what to say through stdin.

Prints {"port": N} when it is ready. Then each line of stdin is a JSON command, answered by one JSON line:

  {"cmd": "records", "records": {"users.local": {"A": ["127.0.0.2"], "AAAA": [], "CNAME": "other.local",
                                                 "SRV": [[1, 1, 50051, "t1.users.local"]]}}, "ttl": 1}
                                replaces all records; a name that is not listed is NXDOMAIN; "limit": 8 gives at most so
                                many random records per answer, as Route 53 multivalue records do; a name may have a
                                "ttl", a "limit" and a "mode" of its own
  {"cmd": "set", "name": "users.local", "entry": {"A": ["127.0.0.3"], "limit": 8}}
                                replaces the records of one name
  {"cmd": "mode", "mode": "normal" | "servfail" | "nxdomain" | "refused" | "drop" | "empty" | "truncate" | "garbage"
                          | "loop" | "oversize" | "delay", "delay": 0.5, "types": ["AAAA"], "name": "users.local"}
                                how to answer, from the next query on; "types" keeps it to these questions, "name" to
                                this name; "delay" is in seconds; "truncate" cuts UDP answers (TC, no records) and
                                answers in full over TCP; "loop" answers with a CNAME that leads back to itself;
                                "oversize" adds sixty thousand bytes to an answer, over UDP too
  {"cmd": "stats"}              {"queries": {"users.local A": 3}, "udp": 2, "tcp": 1}, counted since the last "reset"
  {"cmd": "reset"}              sets the counts to zero

Answers {"ok": true} or {"error": "..."}. Exits when stdin ends. What is random is so from --seed on.
"""

import argparse
import json
import os
import random
import socket
import socketserver
import struct
import sys
import threading
import time
from collections import Counter

from dnslib import AAAA, CNAME, QTYPE, RCODE, RR, SOA, SRV, TXT, A, DNSRecord

RCODES = {"servfail": RCODE.SERVFAIL, "nxdomain": RCODE.NXDOMAIN, "refused": RCODE.REFUSED}
MODES = {"normal", "drop", "empty", "truncate", "garbage", "loop", "oversize", "delay", *RCODES}


class Script:
    """What to answer. Shared by the threads of the servers and the reader of stdin."""

    def __init__(self, seed):
        self.lock = threading.Lock()
        self.random = random.Random(seed)
        self.records = {}
        self.ttl = 1
        self.limit = None
        self.mode = "normal"
        self.delay = 0.0
        self.types = None
        self.queries = Counter()
        self.transports = Counter()

    def command(self, command):
        verb = command.get("cmd")
        with self.lock:
            if verb == "records":
                self.records = {key(name): dict(value) for name, value in command["records"].items()}
                self.ttl = int(command.get("ttl", 1))
                self.limit = command.get("limit")
            elif verb == "set":
                self.records[key(command["name"])] = dict(command["entry"])
            elif verb == "mode":
                if command["mode"] not in MODES:
                    raise ValueError(f"unknown mode {command['mode']!r}, known: {sorted(MODES)}")
                if "name" in command:
                    self.records.setdefault(key(command["name"]), {})["mode"] = command["mode"]
                else:
                    self.mode = command["mode"]
                    self.delay = float(command.get("delay", 0))
                    self.types = command.get("types")
            elif verb == "stats":
                return {"queries": dict(self.queries), "udp": self.transports["udp"], "tcp": self.transports["tcp"]}
            elif verb == "reset":
                self.queries.clear()
                self.transports.clear()
            else:
                raise ValueError(f"unknown cmd {verb!r}, known: records, set, mode, stats, reset")
        return {"ok": True}

    def answer(self, data, transport):
        """The bytes to send back, or None to stay silent."""
        request = DNSRecord.parse(data)
        name = key(str(request.q.qname))
        kind = QTYPE[request.q.qtype]
        with self.lock:
            self.queries[f"{name} {kind}"] += 1
            self.transports[transport] += 1
            mode = self.mode if self.types is None or kind in self.types else "normal"
            mode = self.records.get(name, {}).get("mode", mode)
            delay = self.delay
            reply = request.reply()
            if mode in RCODES:
                reply.header.rcode = RCODES[mode]
            elif mode == "truncate" and transport == "udp":
                reply.header.tc = 1
            elif mode == "loop":
                self.loop(reply, name)
            elif mode not in ("drop", "empty"):
                self.fill(reply, name, kind)
            ttl = self.ttl

        if mode == "drop":
            return None
        if mode == "garbage":
            # The id and the question are right, so that it reaches the reader of records.
            reply.add_answer(RR(request.q.qname, request.q.qtype, ttl=ttl, rdata=A("127.0.0.1")))
            return reply.pack()[:-5] + os.urandom(3)
        if mode == "delay":
            time.sleep(delay)
        if mode == "oversize":
            for index in range(240):
                reply.add_ar(RR(f"{index}.padding", QTYPE.TXT, ttl=ttl, rdata=TXT("x" * 250)))
        if not reply.rr and reply.header.rcode in (RCODE.NXDOMAIN, RCODE.NOERROR) and not reply.header.tc:
            reply.add_auth(RR(".", QTYPE.SOA, ttl=ttl, rdata=SOA("ns.local", "root.local", (1, 60, 60, 60, ttl))))
        return reply.pack()

    def loop(self, reply, name):
        other = f"loop.{name}"
        for owner, target in ((name, other), (other, name)):
            reply.add_answer(RR(owner, QTYPE.CNAME, ttl=self.ttl, rdata=CNAME(target)))

    def fill(self, reply, name, kind):
        entry = self.records.get(name)
        if entry is None:
            reply.header.rcode = RCODE.NXDOMAIN
            return
        hops = 0
        while "CNAME" in entry and hops < 32:
            target = key(entry["CNAME"])
            reply.add_answer(RR(name, QTYPE.CNAME, ttl=entry.get("ttl", self.ttl), rdata=CNAME(target)))
            name, entry, hops = target, self.records.get(target, {}), hops + 1
        values = entry.get(kind, [])
        limit = entry.get("limit", self.limit)
        if limit is not None and len(values) > limit:
            values = self.random.sample(values, limit)
        make = {"A": A, "AAAA": AAAA, "SRV": lambda fields: SRV(*fields)}.get(kind)
        if make is not None:
            for value in values:
                reply.add_answer(RR(name, getattr(QTYPE, kind), ttl=entry.get("ttl", self.ttl), rdata=make(value)))


def key(name):
    return name.rstrip(".").lower()


class UDPHandler(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        answer = self.server.script.answer(data, "udp")
        if answer is not None:
            sock.sendto(answer, self.client_address)


class TCPHandler(socketserver.StreamRequestHandler):
    def handle(self):
        while (prefix := self.rfile.read(2)) and len(prefix) == 2:
            data = self.rfile.read(struct.unpack("!H", prefix)[0])
            answer = self.server.script.answer(data, "tcp")
            if answer is not None:
                self.wfile.write(struct.pack("!H", len(answer)) + answer)


class UDPServer(socketserver.ThreadingUDPServer):
    daemon_threads = True
    max_packet_size = 65535


class TCPServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = socket.SOMAXCONN


def bind():
    """UDP and TCP on the same port: the kernel picks one for UDP, which may be taken for TCP."""
    for _ in range(50):
        udp = UDPServer(("127.0.0.1", 0), UDPHandler)
        try:
            return udp, TCPServer(udp.server_address, TCPHandler)
        except OSError:
            udp.server_close()
    raise SystemExit("dns_server.py: no port is free for both UDP and TCP")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    script = Script(parser.parse_args().seed)
    servers = bind()
    for server in servers:
        server.script = script
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"port": servers[0].server_address[1]}), flush=True)
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            result = script.command(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            result = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
