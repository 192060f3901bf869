#!/usr/bin/env python3
"""Ekiden beside its peers: same machine, same backends, same load, in turns.

The proxies are pinned to one core, h2load and the backends to another. For each shape of load every proxy is started
afresh and warmed up, then they are measured in interleaved rounds (A B C, B C A, ...), so that the drift of a shared
machine hits all alike; medians are printed. The main figure is the proxy's CPU time per request, taken from the scheduler
and so independent of who the bottleneck is; a ratio is Ekiden's figure over the peer's of the same run.
"""

import argparse
import json
import os
import platform
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

from measure import BenchError, Process, free_ports, load
from peers import BACKENDS, PROXIES


@dataclass(frozen=True)
class Shape:
    """Connections × streams on each, and the size of the body each way."""

    connections: int
    streams: int
    body_bytes: int
    requests: int

    @property
    def name(self):
        size = "" if self.body_bytes < 1024 else f"-{self.body_bytes // 1024}k"
        return f"{self.connections}x{self.streams}{size}"

    @property
    def title(self):
        size = f"{self.body_bytes} B" if self.body_bytes < 1024 else f"{self.body_bytes // 1024} KiB"
        return f"{self.connections} × {self.streams}, {size}"


# 105 bytes: five of gRPC framing and a message of a hundred.
SHAPES = {
    shape.name: shape
    for shape in (
        Shape(1, 1, 105, 10_000),
        Shape(10, 10, 105, 100_000),
        Shape(4, 100, 105, 100_000),
        Shape(100, 1, 105, 60_000),
        Shape(4, 8, 65_536, 10_000),
    )
}

# The most that Ekiden's CPU time per request may be, as a multiple of the peer's.
BARS = {
    "1x1": {"nghttpx": 1.05},
    "10x10": {"nghttpx": 0.90, "envoy": 0.35},
    "4x100": {"nghttpx": 0.90, "envoy": 0.35},
    "100x1": {"nghttpx": 1.05},
    "4x8-64k": {"nghttpx": 0.70},
}


@dataclass
class Result:
    """Medians of one proxy under one shape."""

    cpu_us: float
    cpu_us_rounds: list[float]
    requests_per_second: float
    mean_latency_us: float
    resident_mib: float
    errors: int


def write_bodies(directory):
    """A body per size, each one valid gRPC message: flag, length, and a protobuf field of bytes that fills the rest."""
    bodies = {}
    for size in {shape.body_bytes for shape in SHAPES.values()}:
        message = size - 5
        field = b"\x0a" + varint(message - 1 - (1 if message < 130 else 3))
        payload = field + b"e" * (message - len(field))
        bodies[size] = os.path.join(directory, f"{size}.grpc")
        with open(bodies[size], "wb") as file:
            file.write(b"\0" + message.to_bytes(4, "big") + payload)
    with open(os.path.join(directory, "mime.types"), "w") as file:
        file.write("application/grpc grpc\n")
    return bodies


def varint(number):
    encoded = b""
    while number >= 0x80:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


def measure_shape(shape, names, options, directory, body, backend_ports):
    """Starts the proxies, warms them up, runs the rounds, and stops them."""
    path = BACKENDS[options.backend].path(shape.body_bytes)
    requests = max(options.requests or shape.requests // options.divisor, shape.connections * shape.streams)
    ports = dict(zip(names, free_ports(len(names))))
    proxies = {}
    try:
        for name in names:
            peer = PROXIES[name]
            command = peer.command(peer.find(), ports[name], backend_ports, directory)
            proxies[name] = Process(name, command, options.proxy_core, directory)
            proxies[name].wait_until_listening(ports[name])
        for name in names:
            warm_up = max(requests // 4, shape.connections * shape.streams)
            load(ports[name], path, shape, warm_up, body, options.load_core)
        samples = {name: [] for name in names}
        for turn in range(options.rounds):
            for name in names[turn % len(names):] + names[: turn % len(names)]:
                before = proxies[name].cpu_nanoseconds()
                seen = load(ports[name], path, shape, requests, body, options.load_core)
                used = (proxies[name].cpu_nanoseconds() - before) / 1e3 / requests
                samples[name].append((used, seen))
        return requests, {
            name: Result(
                cpu_us=statistics.median(used for used, _ in rounds),
                cpu_us_rounds=[round(used, 3) for used, _ in rounds],
                requests_per_second=statistics.median(seen.requests_per_second for _, seen in rounds),
                mean_latency_us=statistics.median(seen.mean_latency_us for _, seen in rounds),
                resident_mib=proxies[name].resident_bytes() / 2**20,
                errors=sum(seen.errors for _, seen in rounds))
            for name, rounds in samples.items()
        }
    finally:
        for process in proxies.values():
            process.stop()


def print_shape(shape, requests, rounds, results):
    print(f"\n{shape.title}   ({requests:,} requests, {rounds} rounds, medians)")
    print(f"  {'proxy':9} {'CPU µs/req':>10} {'lowest–highest':>16} {'req/s':>9} {'mean ms':>8} {'RSS MiB':>8} "
          f"{'errors':>7}  Ekiden/peer")
    for name, result in results.items():
        spread = f"{min(result.cpu_us_rounds):.2f}–{max(result.cpu_us_rounds):.2f}"
        print(f"  {name:9} {result.cpu_us:10.2f} {spread:>16} {result.requests_per_second:9,.0f} "
              f"{result.mean_latency_us / 1e3:8.2f} {result.resident_mib:8.1f} {result.errors:7}  "
              f"{verdict(shape, name, results)}", flush=True)


def verdict(shape, name, results):
    """The ratio to a peer and, where there is one, the bar it is held against."""
    if name == "ekiden" or "ekiden" not in results:
        return ""
    ratio = results["ekiden"].cpu_us / results[name].cpu_us
    bar = BARS.get(shape.name, {}).get(name)
    if bar is None:
        return f"{ratio:.2f}×"
    return f"{ratio:.2f}×  {'within' if ratio <= bar else 'OVER'} {bar:.2f}"


def missed_bars(shape, results):
    if "ekiden" not in results:
        return []
    own = results["ekiden"].cpu_us
    return [
        f"{shape.name}: {own / results[name].cpu_us:.2f} × {name}, the bar is {bar}"
        for name, bar in BARS.get(shape.name, {}).items()
        if name in results and own / results[name].cpu_us > bar
    ]


def markdown(all_results, environment):
    """The README's table: a row per shape, CPU time of every proxy with the ratio, then Ekiden's other figures."""
    names = list(next(iter(all_results.values())))
    peers = [name for name in names if name != "ekiden"]
    lines = [
        "| connections × streams, body each way | "
        + " | ".join(["Ekiden"] + [f"{name} {environment['versions'][name]}" for name in peers])
        + " | Ekiden: req/s | mean latency | RSS |",
        "|---|" + "---:|" * (len(peers) + 4),
    ]
    for shape, results in all_results.items():
        own = results.get("ekiden")
        cells = [f"**{own.cpu_us:.1f}**" if own else "–"]
        for name in peers:
            ratio = f" ({own.cpu_us / results[name].cpu_us:.2f}×)" if own else ""
            cells.append(f"{results[name].cpu_us:.1f}{ratio}")
        cells += (
            [f"{own.requests_per_second:,.0f}", f"{own.mean_latency_us / 1e3:.2f} ms", f"{own.resident_mib:.0f} MiB"]
            if own else ["–"] * 3)
        lines.append(f"| {SHAPES[shape].title} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"µs of proxy CPU per request; in brackets Ekiden over that peer. Medians of {environment['rounds']} interleaved "
        f"rounds, {environment['machine']}. Made by `{environment['command']}`.",
    ]
    return "\n".join(lines)


def describe_environment(options, names):
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    tool = subprocess.run(["h2load", "--version"], stdout=subprocess.PIPE, text=True, timeout=20).stdout
    return {
        "command": options.command_line,
        "machine": f"{model[1] if model else platform.machine()}, Linux {platform.release()}",
        "date": time.strftime("%Y-%m-%d"),
        "rounds": options.rounds,
        "backend": f"3 × {options.backend}",
        "load": re.sub(r"\s+", " ", tool).strip(),
        "versions": {name: PROXIES[name].version_line() for name in names},
    }


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default=",".join(SHAPES), help="which loads (default: %(default)s)")
    parser.add_argument("--peers", default=",".join(PROXIES), help="which proxies (default: those found of %(default)s)")
    parser.add_argument("--rounds", type=int, help="measured runs per proxy and shape (default: 5)")
    parser.add_argument("--requests", type=int, help="requests per run instead of the shape's own number")
    parser.add_argument("--short", action="store_true", help="a fifth of the requests and 3 rounds: a look, not a figure")
    parser.add_argument("--backend", choices=BACKENDS, default="nghttpd", help="what answers (default: %(default)s)")
    parser.add_argument("--proxy-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1, help="core of h2load and of the backends")
    parser.add_argument("--json", metavar="FILE", help="writes everything measured")
    parser.add_argument("--markdown", action="store_true", help="ends with the table for the README")
    parser.add_argument("--check", action="store_true", help="exit code 1 when a bar is missed")
    options = parser.parse_args()
    options.divisor = 5 if options.short else 1
    options.rounds = options.rounds or (3 if options.short else 5)
    options.command_line = os.environ.get("BENCH_COMMAND") or shlex.join(["bench/bench.py", *sys.argv[1:]])
    options.shapes = known(parser, "shape", options.shapes, SHAPES)
    options.peers = known(parser, "peer", options.peers, PROXIES)
    for core in (options.proxy_core, options.load_core):
        if core not in os.sched_getaffinity(0):
            parser.error(f"core {core} is not available here; the benchmark needs two (--proxy-core, --load-core)")
    if options.rounds < 1 or (options.requests or 1) < 1:
        parser.error("--rounds and --requests must be at least 1")
    return options


def known(parser, what, text, table):
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in table:
            parser.error(f"unknown {what} '{name}'; there are: {', '.join(table)}")
    if not names:
        parser.error(f"no {what} given")
    return names


def choose_proxies(options):
    found = []
    for name in options.peers:
        if PROXIES[name].find():
            found.append(name)
        else:
            print(f"skipped: {name} is not here ({PROXIES[name].remedy})")
    if not found:
        raise BenchError("no proxy to measure")
    return found


def run(options, directory):
    for tool in ("h2load", "nghttpd"):
        if not shutil.which(tool):
            raise BenchError(f"{tool} is not here; apt-get install nghttp2-client nghttp2-server")
    names = choose_proxies(options)
    environment = describe_environment(options, names)
    print(f"{environment['command']}   ({environment['date']}, {environment['machine']})")
    print(f"proxy on core {options.proxy_core}; {environment['load']} and {environment['backend']} on core "
          f"{options.load_core}")
    print("  ".join(f"{name} {version}" for name, version in environment["versions"].items()), flush=True)
    bodies = write_bodies(directory)
    backend_ports = free_ports(3)
    backends, all_results, missed = [], {}, []
    try:
        for port in backend_ports:
            command = BACKENDS[options.backend].command(port, directory)
            backends.append(Process(f"backend-{port}", command, options.load_core, directory))
            backends[-1].wait_until_listening(port)
        for key in options.shapes:
            shape = SHAPES[key]
            requests, results = measure_shape(
                shape, names, options, directory, bodies[shape.body_bytes], backend_ports)
            print_shape(shape, requests, options.rounds, results)
            all_results[key] = results
            missed += missed_bars(shape, results)
    finally:
        for process in backends:
            process.stop()
    if options.json:
        with open(options.json, "w") as file:
            json.dump({**environment, "results": {
                shape: {name: vars(result) for name, result in results.items()}
                for shape, results in all_results.items()}}, file, indent=2)
    if options.markdown:
        print("\n" + markdown(all_results, environment))
    errors = sum(result.errors for results in all_results.values() for result in results.values())
    if errors:
        raise BenchError(f"{errors} requests failed; the figures above say nothing")
    if missed:
        print("\nmissed: " + "; ".join(missed))
    return 1 if missed and options.check else 0


def main():
    options = parse_options()
    # An end from outside cleans up like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    directory = tempfile.mkdtemp(prefix="ekiden-bench-")
    try:
        return run(options, directory)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
